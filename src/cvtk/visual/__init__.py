"""Pictures: objects drawn over images (`overlays`), and curves of a training (`curves`)."""
