"""A live page in a browser without a window, driven over its DevTools."""

import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import time
import urllib.request

import browser
from websockets.sync.client import connect

_SECONDS = 60


class Tab:
  """One page.

  Attributes:
    complaints: what its console had to say.
  """

  def __init__(self, socket):
    self.complaints = []
    self._socket = socket
    self._numbers = itertools.count(1)
    for domain in ("Page", "Runtime", "Log", "Network"):
      self.call(f"{domain}.enable")

  def call(self, method, **params):
    number = next(self._numbers)
    message = {"id": number, "method": method, "params": params}
    self._socket.send(json.dumps(message))
    while True:
      answer = json.loads(self._socket.recv(timeout=_SECONDS))
      self._note(answer)
      if answer.get("id") == number:
        assert "error" not in answer, answer
        return answer["result"]

  def _note(self, answer):
    match answer.get("method"), answer.get("params"):
      case "Runtime.exceptionThrown", reported:
        self.complaints.append(reported["exceptionDetails"])
      case "Log.entryAdded", {"entry": {"level": "error"} as reported}:
        self.complaints.append(reported)
      case "Runtime.consoleAPICalled", reported:
        self.complaints.append(reported)

  def visit(self, address):
    self.call("Page.navigate", url=address)

  def ask(self, expression):
    reported = self.call(
      "Runtime.evaluate",
      expression=expression,
      awaitPromise=True,
      returnByValue=True,
    )
    assert "exceptionDetails" not in reported, reported
    return reported["result"].get("value")

  def wait(self, expression, seconds=_SECONDS):
    """Waits until something is true of the page."""
    end = time.monotonic() + seconds
    while True:
      # While a page loads it may not have what is asked for yet.
      with contextlib.suppress(AssertionError):
        if found := self.ask(expression):
          return found
      assert time.monotonic() < end, f"never: {expression}"
      time.sleep(0.05)

  def press(self, *keys):
    for key in keys:
      text = {"text": key} if len(key) == 1 else {}
      self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
      self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

  def click(self, x, y):
    for kind in ("mousePressed", "mouseReleased"):
      self.call(
        "Input.dispatchMouseEvent",
        type=kind,
        x=x,
        y=y,
        button="left",
        clickCount=1,
      )

  def choose_file(self, selector, path):
    """Puts a file where a person would choose one."""
    root = self.call("DOM.getDocument")["root"]["nodeId"]
    node = self.call("DOM.querySelector", nodeId=root, selector=selector)
    self.call("DOM.setFileInputFiles", nodeId=node["nodeId"], files=[str(path)])

  def screenshot(self, path):
    data = self.call("Page.captureScreenshot", format="png")["data"]
    path.write_bytes(base64.b64decode(data))


@contextlib.contextmanager
def open_tab(profile, size=(1280, 720)):
  """Lends a tab of a browser with a false webcam."""
  command = [
    shutil.which(browser.NAME),
    *browser.QUIET,
    "--remote-debugging-port=0",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    f"--window-size={size[0]},{size[1]}",
    f"--user-data-dir={profile}",
    "about:blank",
  ]
  quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
  with subprocess.Popen(command, **quiet) as process:
    try:
      address = _find_tab(profile / "DevToolsActivePort")
      with connect(address, max_size=None) as socket:
        tab = Tab(socket)
        tab.call(
          "Emulation.setDeviceMetricsOverride",
          width=size[0],
          height=size[1],
          deviceScaleFactor=1,
          mobile=False,
        )
        yield tab
    finally:
      process.terminate()


def _find_tab(file):
  end = time.monotonic() + _SECONDS
  while not file.exists() or not file.read_text().strip():
    assert time.monotonic() < end, "the browser does not start"
    time.sleep(0.05)
  port = file.read_text().split()[0]
  with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
    tabs = json.load(answer)
  return next(x for x in tabs if x["type"] == "page")["webSocketDebuggerUrl"]
