"""What a log of calls says that caches and limits would have saved, had they been there."""
