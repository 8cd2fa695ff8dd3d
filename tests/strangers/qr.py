"""Reads the QR code in what a terminal shows, as a phone's camera would: its text."""

import sys

import zxingcpp

# Which halves of a character are filled: the upper one, the lower one.
HALVES = {" ": (0, 0), "▀": (1, 0), "▄": (0, 1), "█": (1, 1)}
# Points for each module.
SCALE = 6

rows = []
for line in sys.stdin.read().splitlines():
    if len(line) > 20 and all(letter in HALVES for letter in line):
        for half in (0, 1):
            rows.append([HALVES[letter][half] for letter in line])
width = max(len(row) for row in rows)
points = bytearray()
for row in rows:
    line = bytes(255 * full for module in row + [0] * (width - len(row)) for full in [module] * SCALE)
    points += line * SCALE
image = memoryview(points).cast("B", [len(rows) * SCALE, width * SCALE])
found = zxingcpp.read_barcodes(image)
assert len(found) == 1, found
print(found[0].text)
