"""One measured job at a time: queue task, training process, meter thread, sweep."""
