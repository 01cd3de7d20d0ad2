"""Translation of Strudel and Tidal programs to live scripts: parsed, translated, never evaluated."""
