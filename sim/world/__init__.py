"""The depot as physics: vehicles, chargers, feeders, grid."""
