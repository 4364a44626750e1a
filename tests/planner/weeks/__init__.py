"""`make plan-weeks`: eight seeded weeks of four depots, played plan by plan on the simulator's physics."""
