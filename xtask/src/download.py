"""Downloads one file, continuing where an earlier attempt stopped.

Arguments: ADDRESS FILE BYTES LABEL. Only what FILE lacks of its BYTES is asked for. It ends with the program that
started it, whose end closes standard input: nothing is left running that writes to FILE.
"""

import os
import sys
import threading
import time
import urllib.error
import urllib.request

ATTEMPTS = 5  # in a row without a byte received
BLOCK = 1 << 18


def main(address, path, total, label):
    threading.Thread(target=end_with_parent, daemon=True).start()
    progress = Progress(label, total)
    failures = 0
    while True:
        have = size(path)
        if have >= total:
            return progress.end()
        try:
            receive(address, path, have, total, progress)
            reason = "the connection was closed early"
        except urllib.error.HTTPError as error:
            if error.code == 416:
                os.remove(path)
                sys.exit("%s: the file is shorter than expected" % label)
            if error.code < 500 and error.code not in (408, 429):
                sys.exit("%s: the server says %s %s" % (label, error.code, error.reason))
            reason = error
        except OSError as error:  # also URLError, time-outs and a full disk
            reason = error
        failures = 0 if size(path) > have else failures + 1
        if failures == ATTEMPTS:
            sys.exit("%s: %s" % (label, reason))
        if failures:
            time.sleep(2 ** (failures - 1) / 2)


def receive(address, path, have, total, progress):
    request = urllib.request.Request(address, headers={"Range": "bytes=%d-" % have} if have else {})
    with urllib.request.urlopen(request, timeout=60) as response:
        if getattr(response, "status", None) != 206:
            have = 0  # the server sends the whole file
        with open(path, "r+b" if have else "wb") as file:
            file.seek(have)
            while have < total:
                block = response.read(min(BLOCK, total - have))
                if not block:
                    return
                file.write(block)
                have += len(block)
                progress.show(have)


class Progress:
    """On a terminal a line that is written over, elsewhere a line for every tenth."""

    def __init__(self, label, total):
        self.label = label
        self.total = total
        self.start = time.monotonic()
        self.first = None
        self.shown = 0
        self.is_terminal = sys.stderr.isatty()

    def show(self, have):
        now = time.monotonic()
        if self.first is None:
            self.first = have
        if self.is_terminal:
            if now - self.shown < 0.1 and have < self.total:
                return
            self.shown = now
        else:
            if have * 10 // self.total == self.shown:
                return
            self.shown = have * 10 // self.total
        speed = (have - self.first) / max(now - self.start, 1e-3)
        left = ", %d s left" % ((self.total - have) / speed) if speed > 0 else ""
        line = "%s: %d of %d MB, %.1f MB/s%s" % (self.label, have / 1e6, self.total / 1e6, speed / 1e6, left)
        sys.stderr.write("\r\x1b[K" + line if self.is_terminal else line + "\n")
        sys.stderr.flush()

    def end(self):
        if self.is_terminal and self.first is not None:
            sys.stderr.write("\n")


def size(path):
    return os.path.getsize(path) if os.path.exists(path) else 0


def end_with_parent():
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
    except KeyboardInterrupt:
        sys.exit(130)
