"""Open English nouns, far beyond the drawn world, for a planner that must copy words it never saw.

Simple nouns and compounds are split into a training and a test half; no test word appears in the training half.
"""

import zlib
from functools import cache

_NOUNS = """
accordion acorn airship albatross alligator almond alpaca ambulance amulet anchor anemone ant anteater antelope
antenna anvil apartment apricot apron aquarium arch armadillo armchair arrow artichoke ashtray asteroid atlas avocado
awning baboon backpack badge badger bagel bagpipe bakery balcony ballerina bandage bandana banjo banner baobab barbecue
barber barge barn barrel basin basket basketball bassoon bat bathrobe bathtub battery bayonet beagle bead beaker
beanie beard beaver bedspread beehive beetle belt beret billboard birch bird biscuit bison blackberry blackbird blanket
blazer blender blouse blueberry boar boat bobsled bonfire bonnet boomerang boot bottle boulder bouquet bow bowl box
bracelet brain branch bridge briefcase broom brownie brush bubble buckle buffalo bug bulldozer bumblebee bungalow
bunny burger burrito bush butcher button cabbage cabin cabinet cage calculator calendar camel camper
canary candelabra cane cannon canoe canvas canyon capybara caravan cardigan caribou carousel carpet carriage cart
cartwheel casket cassette caterpillar cathedral cauldron cave ceiling cello centipede chalice chalkboard chameleon
chandelier chapel chariot cheetah cheesecake chef cherub chest chestnut chick chicken chihuahua chimney chimpanzee
chinchilla chisel chipmunk cigar cinema circus clam clarinet cliff cloak cloud clover coat cobra cockatoo cockpit
cocktail coconut coffin coin collar column comb comet compass computer condor cone cookbook cooler coral cork corset
cottage couch cougar cowboy coyote crab cradle crane crate crater crayon cricket crib crocodile croissant crossbow
crow crumpet crutch cube cucumber cuff cup cupcake curler cushion cymbal daffodil dagger daisy dam dancer dandelion
dartboard dashboard deckchair deer desk detective dice diner dish dishwasher diver dock doll dolphin dome donkey
dragon dragonfly drawer dress dresser drill drone drumstick dryer duckling dumbbell dumpling dungeon dustbin dwarf
eagle earring easel eel eggplant elevator elf elk elm embroidery emerald emu engine envelope eraser ermine espresso
falcon fan farmer faucet feather fence fern ferret ferry fiddle fig filter finch fir firefighter fireplace firework
flag flamingo flannel flask flea flipper flute folder footstool forklift fork fort fountain foxglove frame freezer
frisbee fridge fungus funnel galleon gargoyle garland gate gazebo gazelle gecko gem geranium gerbil geyser giant
glacier gladiator glider globe glove gnat gnome gnu goat goblet goblin goldfinch goldfish golfer gondola
gong goose gopher gorilla gourd grapefruit grasshopper gravestone greenhouse grill guinea guppy hairbrush halibut
hamburger hammer hammock hamster handbag handcuff handkerchief hanger harbor hare harmonica harp harpoon hat hatchet
hawk hazelnut headband hearse hedge hedgehog helicopter helmet hen hermit heron hippo hive hoodie hook hornet horn
horseshoe hose hospital hotel hourglass hovercraft hummingbird hut hyacinth hydrant hyena ibex iceberg igloo iguana
inkwell insect iris iron island jackal jacket jackhammer jaguar jar jellyfish jester jewel jigsaw jockey joystick
jug juggler jukebox jumper kangaroo kayak kebab kennel kettle keyboard kimono king kingfisher kite kitten kiwi knife
knight koala ladder ladle lagoon lamb lamppost lanyard lark lasso latte lavender lawnmower leaf leek lemur leopard
letter lettuce library lighter lighthouse lilac lily limousine lip lizard llama lobster lock locket locomotive locust
log lollipop loom loudspeaker lute lynx macaron macaw magazine magician magnet magnolia magpie mailbox mammoth manatee
mandolin mango mannequin mansion mantis map maple maraca marigold marionette marmot mask mastiff mat mattress
meadow meatball medal medallion meerkat megaphone melon mermaid meteor microphone microscope microwave milkshake
minaret mirror mitten moat moccasin mole monitor monk monkfish monument moon moose mop mosque mosquito motel moth
motorcycle mouse moustache muffin mug mule mummy museum mushroomcap muskrat mussel nacho napkin narwhal necklace
necktie needle nest net newt nightingale ninja nurse nut oak oar oasis oboe observatory ocelot octopus olive omelette
onion opal opera orangutan orchard orchid orca organ ostrich otter oven overcoat owlet oyster packet paddle padlock
pagoda pail paintbrush palace palette pancake pantry papaya parachute parakeet parasol parcel parchment park parrot
partridge passport pastry patio pavilion pavement pea peacock peanut pear pearl pebble pecan pelican pencil pendant
pendulum peony pepper perfume petunia pheasant piano piccolo pickle pie pigeon pillar pillow pilot pine pineapple
pinecone pipe piranha pirate pistachio pitcher pitchfork planet plate platform platter platypus plaza plum plumber
pomegranate poncho pond pony poodle popcorn poppy porch porcupine porpoise portrait poster postcard pot potato
pretzel priest primrose prince princess printer projector propeller pudding puffin pug pulley pulpit puma pumpkin
puppet puppy purse pyramid python quail quarry queen quill quilt quiver rabbi raccoon racket radiator radio radish
raft rag raincoat rake ram ranch raspberry rat rattle raven razor reindeer restaurant rhino ribbon rickshaw rifle
ring robe robin rocket rodent roller rooster rope rosebush rowboat ruby rucksack rug ruler saddle sailor salamander
salmon salad sandal sandbox sandcastle sandwich sapphire sardine satchel satellite saucer sausage saxophone scarecrow
sceptre school scientist scooter scorpion screen screw screwdriver scroll sculpture seagull seahorse seal seashell
seesaw shack shampoo shark shawl shed shelf shell shepherd sherpa shield ship shirt shoe shop shovel shower shrine
shrub sidewalk sign signpost singer sink skateboard skeleton ski skirt skull skunk skyscraper sled sleeve sleigh
slide slipper sloth slug snail snake snorkel snowball snowboard snowflake snowplow soap sock soldier sombrero spaceship
sparrow spatula speaker spear sphinx spider spinach sponge spoon spruce squash squid squirrel stadium stallion
stapler starfish statue steamboat stingray stool stork stove stream stroller submarine suit suitcase sultan sundial
surfboard surfer swallow swamp swan sweater swimmer swing sword swordfish synagogue syringe taco tadpole tank
tambourine tangerine tap tapestry tarantula tart taxi teacup teapot teddy telephone telescope television temple termite
terrace theatre thermometer thermos thimble thistle throne tiara ticket tie tile toad toaster toilet tomato tombstone
toothbrush torch tortoise totem toucan tower toy tram trampoline trapeze trashcan treadmill treasure trident tripod
troll trolley trombone trophy trout trowel tuba tugboat tulip tuna tunic turban turkey turnip turret tutu tuxedo
typewriter tyre ukulele unicorn unicycle urn valley van vampire vault veil vest viaduct viking villa vineyard viola
violet violin viper visor volcano volleyball vulture waffle wagon waistcoat waiter wall wallaby wallet walnut walrus
wand wardrobe warehouse warlock warthog wasp watch waterfall waterwheel weasel wheel wheelbarrow wheelchair whip
whisk whistle wig wigwam wildebeest willow windmill wine witch wizard wok wolf wolverine wombat woodpecker workbench
worm wrench wreath wrestler xylophone yacht yak yogurt yurt zebrafish zeppelin zombie zucchini
"""
_FIRST = (
    "garage main kitchen wedding birthday coffee dining bedside street garden wool rocking racing fire police school "
    "sports "
    "cowboy toy stone paper straw rubber vintage hockey tennis wine beer flower apple pumpkin office water hot fishing"
).split()
_SECOND = (
    "door gate table cake chair lamp truck car van bus hat coat jacket boot bottle glass basket box shelf sign house "
    "tower bag pot jar bowl plate toy bench stand machine balloon statue cup cart carpet net rod racket stick"
).split()
PLACES = (  # where a scene can be moved to
    "beach forest desert jungle swamp harbour castle hall library supermarket stadium farm village vineyard volcano "
    "canyon "
    "glacier cave lagoon island moon planet garden park meadow field playground subway station airport church temple "
    "museum prison classroom hospital bakery cinema theatre bathroom attic cellar dungeon rooftop bridge highway "
    "waterfall lake river pond rice-field savanna prairie"
).split() + ["starry night sky", "snowy mountain", "busy street", "coral reef", "tropical beach", "flower field"]
PEOPLE = (
    "man woman boy girl teacher doctor chef nurse king queen prince princess soldier sailor pirate singer dancer "
    "farmer "
    "firefighter astronaut clown knight wizard witch baby child lady gentleman policeman player"
).split()
FEMALE = frozenset("woman girl nurse queen princess dancer witch lady ballerina bride mother actress".split())
STYLES = (
    "mosaic comic cartoon woodcut fresco collage linocut etching lithograph painting drawing sketch caricature "
    "engraving "
    "silhouette blueprint hologram tapestry"
).split() + [
    "ink drawing", "pastel drawing", "crayon drawing", "pop art print", "line drawing", "comic strip", "chalk drawing",
    "stained glass window", "pixel art", "acrylic painting", "impressionist painting", "cubist painting",
]  # fmt: skip


def belongs_to_test(word: str) -> bool:
    """Whether a word lies in the unseen half."""
    return zlib.crc32(word.encode()) % 2 == 0


@cache
def open_nouns(test: bool) -> tuple[str, ...]:
    """One half of about 1,500 concrete nouns and compounds, singular, in a fixed order.

    Words of the drawn world are left out, and no word of a test noun stands in the training half.
    """
    from .vocabulary import NOUNS, WEARABLES

    known = {*NOUNS, *WEARABLES}
    simple = [w for w in dict.fromkeys(_NOUNS.split()) if w not in known and belongs_to_test(w) is test]
    seconds = [w for w in _SECOND if belongs_to_test(w) is test]
    firsts = [w for w in _FIRST if belongs_to_test(w) is test]
    return (*simple, *(f"{a} {b}" for a in firsts for b in seconds if a != b))


@cache
def halves(words: tuple[str, ...], test: bool) -> tuple[str, ...]:
    """The training or the test half of some other word list."""
    return tuple(w for w in words if belongs_to_test(w) is test)
