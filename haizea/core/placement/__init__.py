"""Plans: which hosts, from when, in which phases; the mapper, preemption, EASY's shadow time."""
