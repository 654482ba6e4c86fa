"""The leaderboard: stored results become one page that opens from disk, and one that reads in a terminal."""
