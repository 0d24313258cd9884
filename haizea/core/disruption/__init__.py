"""Departures from the plan: failures, delays, moves and load by others, replanning."""
