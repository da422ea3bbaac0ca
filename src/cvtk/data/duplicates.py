"""Images that look alike: their difference hashes, and the pairs that are close."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def difference_hash(thumb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """256 bits that tell where the picture gets brighter to the right, as (32,) uint8.

    The difference hash of N. Krawetz ("Kind of like that", 2013) on 16 x 16 comparisons.
    """
    bits = thumb[:, 1:].astype(np.int16) > thumb[:, :-1].astype(np.int16)
    return np.packbits(bits.ravel())


def near_duplicates(
    thumbs: list[NDArray[np.uint8] | None], *, most: int = 10
) -> list[tuple[int, int]]:
    """Pairs of images that look alike.

    Two images look alike where at most `most` of 256 bits of their difference hashes differ and their
    thumbnails differ by under 8 of 255 grey levels on average. Two such hashes share one of 16 bands of
    16 bits at least, so only images that share a band are compared. Flat images are left out.

    Args:
        thumbs: (16, 17) grey thumbnails; None is left out.
        most: How many bits may differ, under 16.

    Returns:
        Pairs of indices, the smaller first, sorted.
    """
    usable = [i for i, t in enumerate(thumbs) if t is not None and float(t.std()) > 4]
    if len(usable) < 2:
        return []
    stack = np.stack([t for i in usable if (t := thumbs[i]) is not None])
    hashes = np.stack([difference_hash(t) for t in stack])
    bands = hashes.reshape(len(usable), 16, 2).astype(np.uint16)
    keys = bands[:, :, 0] << 8 | bands[:, :, 1]
    found: set[tuple[int, int]] = set()
    for band in range(16):
        order = np.argsort(keys[:, band], kind="stable")
        cuts = np.flatnonzero(np.diff(keys[order, band])) + 1
        for group in np.split(order, cuts):
            for place, i in enumerate(group[:-1]):
                # A common band (a sky, a white table) may be shared by thousands: compare the nearest 200.
                others = group[place + 1 : place + 201]
                bits = np.unpackbits(hashes[others] ^ hashes[i], axis=1).sum(axis=1)
                for j in others[bits <= most]:
                    if np.abs(stack[i].astype(np.int16) - stack[j]).mean() < 8:
                        a, b = usable[int(i)], usable[int(j)]
                        found.add((min(a, b), max(a, b)))
    return sorted(found)
