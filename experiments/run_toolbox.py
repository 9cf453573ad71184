r"""Opens the deep visualization toolbox in the browser.

  python -m experiments.run_toolbox
  python -m experiments.run_toolbox --net=squeezenet1.1 \
    --images=photos --units=out/tree

It prints the address to open. Press h there to see what the keys do.
"""

from absl import flags

from experiments import script
from jdeepvis.networks.zoo import load_network
from jdeepvis.types import JdeepvisError

_NET, _ROOT = script.define("net", "root")
_IMAGES = flags.DEFINE_string(
  "images", None, "A folder or a list of images; else bundled photographs."
)
_UNITS = flags.DEFINE_string(
  "units", None, "A tree of units' pictures, ours or the original's."
)
_HOST = flags.DEFINE_string(
  "host", "127.0.0.1", "Where to listen; other than loopback needs a token."
)
_PORT = flags.DEFINE_integer(
  "port", 8090, "Where to listen.", lower_bound=1, upper_bound=65535
)
_ALLOWED_HOSTS = flags.DEFINE_list(
  "allowed_hosts", [], "Other names by which browsers reach this server."
)
_CERTFILE = flags.DEFINE_string(
  "certfile", None, "A TLS certificate: webcams from other machines need it."
)
_KEYFILE = flags.DEFINE_string("keyfile", None, "The certificate's key.")


def main() -> None:
  """Flags to a server that runs until it is interrupted."""
  try:
    from jdeepvis import toolbox
  except ImportError as error:
    raise JdeepvisError(
      f"The toolbox needs {error.name}: pip install 'jdeepvis[toolbox]'."
    ) from error
  if _KEYFILE.value and not _CERTFILE.value:
    raise JdeepvisError("--keyfile needs --certfile.")
  toolbox.serve(
    load_network(_NET.value),
    host=_HOST.value,
    port=_PORT.value,
    images=_IMAGES.value,
    root=_ROOT.value,
    units=_UNITS.value,
    title=_NET.value,
    allowed_hosts=_ALLOWED_HOSTS.value,
    certfile=_CERTFILE.value,
    keyfile=_KEYFILE.value,
    say=lambda sentence: print(sentence, flush=True),
  )


if __name__ == "__main__":
  script.run(main)
