"""Exported models: what their files say of themselves, and how they run without PyTorch and MMDetection."""
