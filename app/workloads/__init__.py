"""What can be trained, as arithmetic: layers, shapes, parameters, FLOPs, memory, data sets."""
