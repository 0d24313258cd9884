"""OpenNebula, from 1.4 to 7.x: its calls, answers and events, and what users ask for."""
