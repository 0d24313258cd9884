"""What a run leaves behind: probes, counters, the results file and its export."""
