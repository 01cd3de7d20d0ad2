"""Services: what a plugin offers to others by `antiphon_services`; `catalogue` is the one for sound files."""

from __future__ import annotations

from antiphon.kernel.contract.catalogue import CatalogueService, FolderSound, IdentifiedFile, SoundCatalogue
from antiphon.kernel.plugins.services import service
