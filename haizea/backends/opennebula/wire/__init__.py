"""Speaking to OpenNebula: calls, answers, connections, events."""
