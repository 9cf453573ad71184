"""A real browser without a window, for tests of our pages."""

import html.parser
import shutil
import subprocess

import pytest

NAME = "chromium"
QUIET = (
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
)


def require():
  """Skips a test where there is no browser."""
  if not shutil.which(NAME):
    pytest.skip("needs a browser: apt-get install chromium")


def visit(address, profile):
  """The page as it stands once its scripts have run, without complaints."""
  command = [
    shutil.which(NAME),
    *QUIET,
    "--enable-logging=stderr",
    f"--user-data-dir={profile}",
    "--virtual-time-budget=3000",
    "--dump-dom",
    address,
  ]
  result = subprocess.run(
    command, capture_output=True, text=True, timeout=60, check=True
  )
  assert "CONSOLE" not in result.stderr, result.stderr
  return Page(result.stdout)


class Page(html.parser.HTMLParser):
  """What the tests ask of a page: its tags, and the text in some of them."""

  def __init__(self, page):
    super().__init__()
    self.tags, self.sources, self.attributes = [], [], {}
    self.headings, self.captions, self.texts = [], [], {}
    self.classes, self.outputs = [], []
    self._open = []
    self.feed(page)

  def handle_starttag(self, tag, attrs):
    attributes = dict(attrs)
    self.tags.append(tag)
    self.classes += [attributes["class"]] if "class" in attributes else []
    if tag == "img" and "loading" in attributes:
      self.sources.append(attributes["src"])
    if "id" in attributes:
      self.texts[attributes["id"]] = ""
      self.attributes[attributes["id"]] = attributes
    if tag == "h2" and "id" not in attributes:
      self.headings.append("")
    if tag == "figcaption":
      self.captions.append("")
    if tag == "output":
      self.outputs.append("")
    if tag not in ("meta", "link", "img", "input", "br"):
      self._open.append((tag, attributes.get("id")))

  def handle_endtag(self, tag):
    while self._open and self._open.pop()[0] != tag:
      pass

  def handle_data(self, data):
    for tag, name in self._open:
      if name:
        self.texts[name] += data
      if tag == "h2" and not name:
        self.headings[-1] += data
      if tag == "figcaption":
        self.captions[-1] += data
      if tag == "output":
        self.outputs[-1] += data
