"""Phrasings that only ever test the planner: written before the training phrasings of protocol 2, from another hand's
view, and never read for mistakes.

Slots and marks are those of `phrasings`. Whoever widens the training phrasings does not look here: a test says when
a template, or its pattern of function words, stands on both sides, and then the training side gives way.
"""

TEMPLATES: dict[str, tuple[str, ...]] = {
    "replace": (
        "can {x} be switched out for {y}?", "i was hoping to see {y}, not {x}", "!take {x} and turn that into {y}",
        "i keep imagining that {x} might be {y}", "what would happen if {x} got replaced by {y}?",
        "!trade {x} in for {y}",
        "this would look better with {y} than with {x}", "!edit {y} in where {x} was",
        "i'd rather see {y} here than {x}", "{x} would be more fun as {y}, wouldn't you say?",
        "{y} where {x} used to be", "{y} would suit this scene more than {x}", "is it possible to turn {x} into {y}?",
        "someone should turn {x} into {y}", "!swap out {x}, swap in {y}", "{y}, that's what {x} should be",
        "i don't want {x}, i want {y}", "my idea is to have {y} where you now see {x}",
        "don't show {x}, show {y} [there|here]", "would you mind {x} being {y}?", "!start with {x} and end up with {y}",
        "can we pretend that {x} is {y}?", "who needs {x} when we could have {y}?",
    ),
    "recolour": (
        "could {x} come in {c}?", "i'm thinking {c} for {x} here", "{x} in a nice {c} would be [lovely|great|good]",
        "!go for {c} on {x}", "{x} really ought to be {c}", "is there a way to get {x} in {c}?",
        "{x} could do with a fresh coat of {c}", "{x} would look so much better {c}", "!try out {c} on {x}",
        "what about {x} being {c}?", "i don't like the [color|colour] of {x}, make it {c}",
        "the [color|colour] of {x} is wrong, go with {c}", "it would be great to have {x} painted {c}",
        "{x} with a {c} finish", "!do {x} up in {c}", "any chance of {x} in {c}?", "i'd rather have {cx} than {x}",
        "can you picture {x} in {c}? show me", "my choice of [color|colour] for {x} would be {c}",
        "{c} is what i want for {x}", "!pick another [color|colour] for {x}, say {c}",
        "would you say {c} works for {x}? try it",
    ),
    "material": (
        "could {x} be built out of {m}?", "!recreate {x} in {m} this time", "i'd love {x} crafted from {m}",
        "{m} would be a cool material for {x}", "what about {m} as the material for {x}?", "{x} but made from {m}",
        "what would {x} look like in {m}?", "!give {x} a {c} texture all over", "{x} as though made entirely of {m}",
        "!switch the material of {x} over to {m}", "the material of {x} ought to be {m}",
        "is it possible to have {x} in {m}?", "same shape, but {x} should be {m}", "i'm imagining {x} all in {m}",
        "{x} doesn't have to be what it is, make it {c}", "someone turned {x} into {m}, show that",
        "!take {x} and make it out of {m}", "{m}, that's what {x} should be made of",
        "i'd rather have {cx} than {x}", "pretend {x} was put together from {m}",
    ),
    "add": (
        "i think {x} could use {y}", "wouldn't {x} look good with {y}?", "!stick {y} on {x} for me",
        "{x} would be better off with {y}", "how would {x} look with {y} on?", "!get {x} to wear {y} here",
        "i'd like it if {x} wore {y}", "can you picture {x} with {y}? show me", "what {x} needs is {y}",
        "!see to it that {x} wears {y}", "let {x} have {y} as well", "{y} would look [adorable|great|funny] on {x}",
        "now {x}, but with {y} added", "surprise me with {x} wearing {y}", "{x} is not done without {y}",
        "is it possible to get {y} onto {x}?", "i'd find {x} much nicer with {y}",
        "why not put {y} on {x}?", "the only thing that {x} lacks is {y}", "!go and give {y} to {x}",
        "pretend that {x} came with {y}",
    ),
    "add smile": (
        "could {x} look a bit happier with a {yn}?", "i want to see {x} with a big {yn}",
        "{x} should be wearing a {yn}", "!cheer {x} up with a {yn}", "a {yn} would suit {x}",
        "{x} could do with a {yn}", "why not have a {yn} on {x}?", "i think {x} would be nicer with a {yn}",
        "is a {yn} possible for {x}?",
    ),
    "add alone": (
        "the scene could use {y}", "could there be {y} too?", "!throw in {y} for good measure",
        "i think we need {y} in there", "{y} would make this picture complete", "how about {y} over there?",
        "i was hoping for {y} in this shot", "can i get {y} in this picture?", "!let {y} appear in it",
        "wouldn't it be nice to have {y} in it?", "is there room for {y}?", "!find a spot for {y} in this",
        "i really miss {y} when i look at this", "where is {y}? there should be one",
        "the one thing it still needs is {y}",
        "pretend that {y} was there too", "would {y} fit in here?",
    ),
    "remove": (
        "could {x} please go away?", "{x} shouldn't be in this [photo|picture]", "i can't stand {x}, clean that up",
        "would the shot be better if you cut {x}?", "!wipe {x} off the picture", "this would look better without {x}",
        "do we really need {x}?", "i never wanted {x} there", "nobody needs {x} in this photo",
        "the picture minus {x}", "there's no need for {x} here", "is there a way to make {x} vanish?",
        "!pretend {x} was never there", "!keep everything but {x}", "!leave out {x} this time",
        "we could do without {x}", "what if {x} had never been there?", "who put {x} there? take that away",
        "i find {x} distracting, can that go?", "it'd be nicer if {x} weren't in it",
        "!fill in the spot where {x} was", "i'm done with {x}", "my problem is {x}, it has to go",
    ),
    "resize": (
        "could {x} be a bit {er}?", "does anyone else find {x} too {opposite}?", "!scale {x} {updown} quite a lot",
        "i'd like {x} at {times} the size", "why must {x} be so {opposite}?", "{x} ought to be {er} by far",
        "!adjust the size of {x} so it gets {er}", "!have {x} {grow} in size", "{er} would be better for {x}",
        "!render {x} {er} than it was before", "!show me a {er} version of {x}", "i think {x} would be better if {er}",
        "!go {er} with {x}", "isn't {x} a little too {opposite}?", "let {x} be much {er} than now",
        "is it possible to get {x} {er}?", "{x}, only {er} than that", "the picture needs {sized} {n}",
        "pretend {x} was a lot {er}",
    ),
    "move": (
        "i'd rather that {x} was {at}", "!take {x} and place it {at}", "{at} is where {x} should be",
        "{at} would be the best place for {x}", "!find another place for {x}, {at} would do",
        "!drag {x} all the way {to}",
        "can {x} be {at} instead?", "{x} would look so much better {at}", "the way i imagined it, {x} was {at}",
        "what if someone had placed {x} {at}?",
        "the {direction} would be a better spot for {x}", "wouldn't it be better with {x} {at}?",
        "the best spot for {x} is {at}", "i don't like where {x} is, put it {at}",
        "is it possible to get {x} {at}?", "{x} looks lost there, move it {to}",
        "!pick {x} up and set it down {at}", "pretend {x} was {at}",
    ),
    "action": (
        "could {x} try {ing} for a while?", "i wonder what {x} would look like {ing}", "!catch {x} in the act of {ing}",
        "someone told {x} to {do}, show that", "has {x} ever been seen {ing}?", "why isn't {x} {ing}?",
        "i'd rather see {x} {ing} than just standing", "is it possible to have {x} {ing}?",
        "pretend {x} was {ing} just then", "what would happen if {x} tried to {do}?",
        "{ing} is what {x} should be doing", "!teach {x} how to {do}", "can you picture {x} {ing}? show me",
        "it'd be time for {x} to {do}, i'd say", "{x} is only standing there, can that be {ing}?",
        "wouldn't it be funny to see {x} {ing}?", "my idea is to have {x} {do} here",
        "!take the same shot at the moment when {x} is {ing}", "{x} doesn't {do} yet, but ought to",
        "don't you think {x} looks bored? let us watch {x} {do}", "there's nothing like {x} {ing}, so show that",
    ),
    "background": (
        "could the whole thing take place in {y}?", "i wish this had been taken in {y}",
        "!swap what's behind for {y}", "!pretend we are in {y}", "!put {y} in the back, behind everything",
        "everything behind should be {y}", "!take us away to {y}", "can we pretend this is {y}?",
        "the setting ought to be {y}", "what about {y} for the backdrop?", "!transport them all to {y}",
        "!keep the things, but show {y} behind them", "could this be [shot|set] in {y}?",
        "!let all that surrounds them be {y}", "i don't like the backdrop, use {y}",
        "is it possible to have {y} behind it?",
        "i'd rather be looking at {y} in the background",
    ),
    "weather": (
        "could we have some {noun}?", "it ought to be {ger}", "i'd love a bit of {noun} in this",
        "!give the scene a {adj} mood", "some {noun} would be nice for this one", "why isn't it {adj} here?",
        "what if there was {noun} all over?", "!turn this into a {adj} scene", "i was thinking of {adj} weather",
        "can it {verb} here?", "the day should feel {adj}", "!shoot it again on a {adj} day",
        "is it possible to have {noun} here?", "i'd rather see it {adj}", "pretend there was {noun} that day",
        "where is the {noun}? it should be {adj}",
    ),
    "time": (
        "could it be {noun} here?", "i'd like to know what this looks like {adv}", "!show how it is {adv}",
        "{noun} would be a better time for this", "!take this picture again, but {adv}",
        "it shouldn't be {other}, it should be {noun}", "!turn the clock until we get {noun}",
        "it could do with a {noun} feel",
        "i wonder how this place would look {adv}", "it is {other} here but i want {noun}",
        "the light should be that of {noun}", "as if it had been taken {adv}",
        "i can't wait for {noun}, so let it be that",
        "what if we saw this {adv}?", "is it possible to have it {adv}?", "pretend someone took this {adv}",
    ),
    "season": (
        "could it be {noun} here?", "i miss {noun}, bring it into this picture", "!give this place a {noun} feel",
        "i wonder how this would look in {noun}", "!take this picture again in {noun}",
        "it feels like {other}, but it should feel like {noun}", "the calendar should say {noun}",
        "{noun} would be my pick for this", "we are in {noun} now, so show that", "!let {noun} come to this place",
        "as it would be in {noun}", "i'd like this place better in {noun}", "i hope for {noun} soon",
        "is it possible to have {noun} here?", "what if we saw this in {noun}?",
    ),
    "style": (
        "could this be done as {y}?", "!redo the whole thing so that we get {y}", "pretend an artist made this as {y}",
        "the whole thing in the manner of {y}", "!give all of this the feel of {y}",
        "how about doing this in {medium}?",
        "i'd like this more as {y}", "it should come out looking like {y}", "!render this so it resembles {y}",
        "what if someone had made {y} of this?", "can i have {y} of this scene?",
        "{y} would be a nicer way to show this", "!treat this as {y}", "is it possible to get {y} out of this?",
        "not a photo but {y}", "{b}, that's the style i want",
    ),
}  # fmt: skip

SELECTORS: dict[str, tuple[str, ...]] = {
    "best": ("the {n}",) * 7 + ("the {n} you can see", "our {n}", "the {n} in this shot"),
    "all": (
        "each {n} in there", "all {p} without exception", "every {n} in sight", "all the different {p}",
        "each {n} you can find", "all the {p} there", "the {p}, each of them,",
    ),
    "left": (
        "the {n} over on the left", "the {n} that's furthest left", "the leftmost of the {p}",
        "whichever {n} is on the left", "the {n} found on the left", "the {n} to the very left", "that {n} on the left",
    ),
    "middle": (
        "the {n} in the very middle", "the {n} that's right in between", "the {n} that stands between the other two",
        "whichever {n} is in the middle", "the {n} with others on both sides", "that {n} in the middle",
    ),
    "top": (
        "whichever {n} is on top", "the {n} up top", "the {n} that's highest up", "the {n} up at the top",
        "the {n} nearest the top",
    ),
    "bottom": (
        "the {n} lowest down", "the {n} that's lowest", "whichever {n} is at the bottom", "the {n} down at the bottom",
        "the {n} nearest the bottom",
    ),
    "largest": (
        "the {n} that's biggest", "the bigger {n} of the two", "the {n} that looks bigger", "whichever {n} is larger",
        "the really big {n}", "the {n} that takes up most space", "the biggest among the {p}",
    ),
    "smallest": (
        "the {n} that's smallest", "the smaller {n} of the two", "the {n} that looks smaller",
        "whichever {n} is tinier", "the really small {n}", "the {n} that takes up least space",
        "the smallest among the {p}",
    ),
    "nth": (
        "the {o} {n} when you count from the {d}", "the {n} that is number {k} from the {d}",
        "the {n} that comes {o} if you start from the {d}", "if you count from the {d}, the {o} {n}",
        "the {o} {n} starting at the {d}", "the {o} one from the {d} among the {p}",
    ),
}  # fmt: skip
SELECTORS["right"] = tuple(s.replace("left", "right") for s in SELECTORS["left"])
LINK = ", along with "

WRAPPERS = (
    "i'd be grateful if you could {i}", "is there any chance you could {i}?", "do you think you could {i}?",
    "your task: {i}", "be a dear and {i}", "why don't you {i}?", "you may want to {i}", "all i ask is that you {i}",
    "what i need is for you to {i}", "are you able to {i}?", "it'd be lovely to {i}", "mind if i ask you to {i}?",
)  # fmt: skip
NEUTRAL_WRAPPERS = (
    "so, {i}", "{i}, cheers", "quick one: {i}", "{i} if that's okay", "for this shot, {i}", "good morning, {i}",
    "{i}, that's all", "alright, {i}", "for a change, {i}", "sorry to bother you: {i}",
)  # fmt: skip
JOINERS = (
    "{a}. and one more: {b}", "{a}; in addition, {b}", "{a}. once that is done, {b}", "do two things: {a} and {b}",
    "{a}, but also {b}", "{a} - oh, and {b}", "{a} and at the same time {b}", "two changes: {a}, {b}",
    "1. {a} 2. {b}", "{a}. another thing, {b}", "{a}, next {b}",
)  # fmt: skip
GAPPED = (
    "i'd like {x} to become {o}, and {x2} to become {o2}", "{x} ought to be {o}, {x2} ought to be {o2}",
    "can {x} be {o} and {x2} {o2}?", "imagine {x} being {o} and {x2} being {o2}", "{o} for {x}, {o2} for {x2}",
    "two changes: {x} to {o}, {x2} to {o2}", "!turn {x} and {x2} into {o} and {o2} respectively",
    "{x} as {o}, and {x2} as {o2}",
)  # fmt: skip
