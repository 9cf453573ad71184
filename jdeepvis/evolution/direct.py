"""The direct encoding: every grey level of every pixel is a gene."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import UInt8

from jdeepvis.evolution.archive import Encoding
from jdeepvis.evolution.mutation import mutate_polynomially
from jdeepvis.types import AnyArray, Image, Index, PRNGKey

_RATE = 0.1
_HALVED_EVERY = 1000


@dataclasses.dataclass(frozen=True)
class Direct(Encoding):
  """Images as they are, from noise, by polynomial mutation.

  Nguyen, Yosinski and Clune 2015: each gene is mutated with a probability of
  10 %, halved every 1000 generations, with a strength of 15. They evolve 256 by
  256 pixels and crop what CaffeNet sees; here the genome is what the network
  sees and no more. Genes are whole grey levels, as those of a file.

  Attributes:
    shape: of the images, height and width in pixels, then channels.
  """

  shape: tuple[int, int, int]

  def random(self, key: PRNGKey) -> UInt8[AnyArray, "h w c"]:
    return jax.random.bits(key, self.shape, jnp.uint8)

  def vary(
    self,
    key: PRNGKey,
    parent: UInt8[AnyArray, "h w c"],
    mate: UInt8[AnyArray, "h w c"],
    generation: Index,
  ) -> UInt8[AnyArray, "h w c"]:
    del mate
    child = mutate_polynomially(
      jnp.float32(parent),
      jax.random.uniform(key, self.shape, jnp.float32),
      rate=mutation_rate(generation),
      low=0.0,
      high=255.0,
    )
    return jnp.round(child).astype(jnp.uint8)

  def decode(self, genome: UInt8[AnyArray, "h w c"]) -> Image:
    return genome.astype(jnp.float32)


def mutation_rate(generation: Index):
  """The probability that a gene is mutated."""
  return _RATE * 0.5 ** jnp.float32(generation // _HALVED_EVERY)
