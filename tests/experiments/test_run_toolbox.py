import pytest
from scripts import Script

from jdeepvis import toolbox


@pytest.fixture(name="script", scope="module")
def fixture_script():
  return Script("experiments.run_toolbox")


def test_without_flags_the_bundled_network_is_served(script, monkeypatch):
  served = {}
  monkeypatch.setattr(
    toolbox, "serve", lambda network, **more: served.update(more, net=network)
  )
  script.run("--root=pictures")
  assert served["root"] == "pictures"
  assert served["net"].labels[130] == "flamingo"
  assert (served["host"], served["port"]) == ("127.0.0.1", 8090)
  assert served["title"] == "googlenet"


def test_a_key_without_its_certificate_is_refused(script):
  with pytest.raises(SystemExit, match="--keyfile needs --certfile"):
    script.run("--keyfile=key.pem")
