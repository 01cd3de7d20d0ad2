"""Programs of Strudel and Tidal as live scripts: read, translated, never evaluated."""
