"""A look at the HTML of a page: what it would fetch, and whether it is well formed."""

from html.parser import HTMLParser

VOID = {"meta", "img", "polyline"}


class Checker(HTMLParser):
    """Notes what a page would fetch, and whether every element is closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.fetched = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        self.fetched += [
            value
            for name, value in attrs
            if name in ("src", "href") and not value.startswith("data:")
        ]

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag
