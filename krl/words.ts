// The words that `random:word` chooses from: short, plain, unlike each other.

export const WORDS: readonly string[] = (
  'acorn amber anchor apple arrow aspen badge bamboo barley basin beacon birch blanket bottle bramble brick bridge ' +
  'bronze brook bucket butter button cabin cactus camel candle canyon carbon cedar cherry chimney cinder clay cliff ' +
  'clover cobalt comet copper coral cotton crane crater cricket crystal daisy dawn delta desert dolphin dragon dune ' +
  'eagle ember engine falcon feather fern ferry fiddle flint forest fossil fountain garden garnet ginger glacier ' +
  'granite gravel hammer harbor harvest hazel heron honey island ivory jasper jungle kettle ladder lagoon lantern ' +
  'lemon lilac linen lizard magnet maple marble meadow melon mirror mosaic mountain needle nickel north oasis ocean ' +
  'olive onyx orbit orchard otter paddle panda paper pebble pepper pigeon pillow pine planet plum pocket pond prairie ' +
  'quartz quiver rabbit raven reef ribbon river robin rocket saddle saffron salmon sand sapphire shadow shell silver ' +
  'sparrow spruce stone summit thistle thunder tiger timber topaz trail tulip tunnel turtle valley velvet violet walnut ' +
  'water willow window winter yarrow zebra'
).split(' ')
