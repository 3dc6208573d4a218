"""What the words mean: quantities, specs, jobs, readings, reports, errors."""
