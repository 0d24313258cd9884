"""What goes otherwise than planned: failures, delays, moves and load by others, replanning."""
