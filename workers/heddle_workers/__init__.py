"""Jobs: the dispatcher, the tasks it runs on Ray, and what they compute."""
