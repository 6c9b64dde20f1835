"""Jobs: queued, watched, cancelled."""
