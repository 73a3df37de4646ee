"""What ours is measured against: each a short program that a fair person would write without OptiFlow."""
