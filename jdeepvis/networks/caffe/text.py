"""Protobuf's text form as a tree that knows its lines."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

_MAX_DEPTH = 40
_TOKEN = re.compile(
  r"""
  (?P<space>(?:[\s\ufeff\0]|\#[^\n]*)+)
  |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
  |(?P<word>[-+]?[A-Za-z0-9_.][A-Za-z0-9_.+-]*)
  |(?P<mark>[{}<>\[\]:;,])
  """,
  re.VERBOSE,
)
_LAYER = re.compile(rb"\blayers?\s*:?\s*\{")
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{1,2})|([0-7]{1,3})|(.))", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"t": b"\t", b"r": b"\r"}
_ENDS = {"{": "}", "<": ">"}
_INSTEAD = {"/": "; a comment begins with #"}
_INSTEAD |= dict.fromkeys("\u201c\u201d\u2018\u2019", '; quotation marks are "')


class Quoted(str):
  """A value that stands between quotation marks."""


class Field(NamedTuple):
  """One field as it is written.

  Attributes:
    name: its name.
    value: a word, a `Quoted` text, or the fields between its braces.
    line: where it stands, from 1.
  """

  name: str
  value: "str | tuple[Field, ...]"
  line: int


class TextError(ValueError):
  """What is wrong with a text, and in which line."""

  def __init__(self, line: int, what: str):
    super().__init__(f"line {line}: {what}")
    self.line, self.what = line, what


class Settings:
  """Settings of a layer type that has no messages here, by name.

  A field that stands several times is a tuple of its values; numbers, true and
  false are what they say, other words text.
  """

  def __init__(self, fields: tuple[Field, ...]):
    self._values = plain_values(fields)

  def __getattr__(self, name: str):
    values = self.__dict__.get("_values", {})
    if name in values:
      return values[name]
    raise AttributeError(
      f"it does not say {name}; it says {', '.join(values) or 'nothing'}"
    )

  def get(self, name: str, default=None):
    """The setting called `name`, or else the default."""
    return self._values.get(name, default)

  def ListFields(self):  # noqa: N802
    """The settings as a message lists them: pairs of a field and its value."""
    return [(Field(name, "", 0), value) for name, value in self._values.items()]

  def HasField(self, name: str) -> bool:  # noqa: N802  (protobuf's name)
    """Whether the file says it."""
    return name in self._values


def decode(data: bytes) -> str:
  """A file's text, whatever its encoding, byte order mark and line ends.

  Comments may be in any encoding: a line that is no UTF-8 is Latin-1.
  """
  if data.startswith((b"\xff\xfe", b"\xfe\xff")):
    wide = "utf-16"
  elif b"\0" in data[:2]:
    # Without a mark: a net's first sign is one of ASCII.
    wide = "utf-16-be" if data[0] == 0 else "utf-16-le"
  else:
    return "\n".join(map(decode_name, data.splitlines()))
  text = data.decode(wide, errors="replace")
  return "\n".join(text.removeprefix("\ufeff").splitlines())


def decode_name(data: bytes) -> str:
  """UTF-8, or else Latin-1, which takes any byte."""
  try:
    return data.decode("utf-8")
  except UnicodeDecodeError:
    return data.decode("latin-1")


def parse(text: str) -> tuple[Field, ...]:
  """The fields of a text.

  Raises:
    TextError: it is not in protobuf's text form.
  """
  return _fields(_Tokens(text), "", 0)


def is_net(data: bytes) -> bool:
  """Whether a file's bytes look like the text of a net's description."""
  return _LAYER.search(data.replace(b"\0", b"")) is not None


def plain(value):
  """A value without a schema: a number, a truth, a text or `Settings`."""
  if isinstance(value, tuple):
    return Settings(value)
  if isinstance(value, Quoted):
    return str(value)
  if value in ("true", "false"):
    return value == "true"
  for kind in (int, float):
    try:
      return kind(value)
    except ValueError:
      continue
  return value


def plain_values(fields: Iterable[Field]) -> dict[str, Any]:
  """The plain values of fields by name, a tuple of those that are several."""
  values: dict[str, list] = {}
  for field in fields:
    values.setdefault(field.name, []).append(plain(field.value))
  return {
    name: found[0] if len(found) == 1 else tuple(found)
    for name, found in values.items()
  }


class _Tokens:
  """The tokens of a text, one ahead; `begin` is the line of the last taken."""

  def __init__(self, text: str):
    self._source = _tokens(text)
    self.kind, self.token, self.line = next(self._source)
    self.begin = self.line

  def take(self) -> str:
    token, self.begin = self.token, self.line
    self.kind, self.token, self.line = next(self._source)
    return token

  def wrong(self, wanted: str) -> TextError:
    found = f"{self.token[:40]!r}" if self.kind else "the end"
    return TextError(self.line, f"there is {found} in place of {wanted}")


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
  place, line = 0, 1
  while place < len(text):
    match = _TOKEN.match(text, place)
    if match is None:
      sign = text[place]
      hint = _INSTEAD.get(sign, "")
      raise TextError(line, f"{sign!r} has no meaning here{hint}")
    if match.lastgroup != "space":
      yield match.lastgroup, match[0], line
    line += match[0].count("\n")
    place = match.end()
  while True:
    yield "", "", line


def _fields(tokens: _Tokens, end: str, depth: int) -> tuple[Field, ...]:
  if depth > _MAX_DEPTH:
    raise TextError(tokens.line, "braces are nested too deeply for a net")
  fields, begin = [], tokens.begin
  while tokens.token != end or (not end and tokens.kind):
    if end and not tokens.kind:
      raise TextError(begin, f"what begins here has no {end}; add it")
    if tokens.kind != "word":
      raise tokens.wrong(f"a field's name{f' or {end}' if end else ''}")
    line, name = tokens.line, tokens.take()
    fields += [Field(name, x, line) for x in _values(tokens, name, depth)]
    if tokens.token in (",", ";"):
      tokens.take()
  if end:
    tokens.take()
  return tuple(fields)


def _values(tokens: _Tokens, name: str, depth: int) -> Iterator:
  if tokens.token in _ENDS:
    yield _block(tokens, depth)
    return
  if tokens.token != ":":
    raise tokens.wrong(f"a colon or a brace behind {name}")
  tokens.take()
  if tokens.token != "[":
    yield _value(tokens, name, depth)
    return
  tokens.take()
  while tokens.token != "]":
    yield _value(tokens, name, depth)
    if tokens.token == ",":
      tokens.take()
    elif tokens.token != "]":
      raise tokens.wrong("a comma or ]")
  tokens.take()


def _value(tokens: _Tokens, name: str, depth: int):
  if tokens.token in _ENDS:
    return _block(tokens, depth)
  if tokens.kind == "string":
    parts = []
    while tokens.kind == "string":
      parts.append(_unescaped(tokens.take()[1:-1]))
    return Quoted("".join(parts))
  if tokens.kind != "word":
    raise tokens.wrong(f"the value of {name}")
  return tokens.take()


def _block(tokens: _Tokens, depth: int) -> tuple[Field, ...]:
  return _fields(tokens, _ENDS[tokens.take()], depth + 1)


def _unescaped(text: str) -> str:
  if "\\" not in text:
    return text

  # An escape is a byte; several may be one character.
  def one(match):
    if match[3]:
      return _ESCAPED.get(match[3], match[3])
    return bytes([int(match[1], 16) if match[1] else int(match[2], 8) & 255])

  return decode_name(_ESCAPE.sub(one, text.encode()))
