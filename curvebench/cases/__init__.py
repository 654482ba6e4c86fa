"""Real cases: loss curves of trainings elsewhere with what was found to help, and how diagnosers do on them."""
