"""How a workload is built and trained, inside the child process; TensorFlow runs here alone."""
