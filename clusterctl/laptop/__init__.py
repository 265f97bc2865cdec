"""What differs between the systems of laptops: Linux, macOS and Windows. Nothing else of ours asks which one it is."""
