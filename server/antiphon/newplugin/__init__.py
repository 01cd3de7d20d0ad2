"""`antiphon new-plugin`: writes a working plugin as a template, one for each shape of processor."""
