"""The results of a run: probes, counters, the results file and its export."""
