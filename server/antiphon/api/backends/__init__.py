"""Parts of Antiphon for models, synths, transports, analyses, commands and pages; `antiphon.api` lists the modules."""
