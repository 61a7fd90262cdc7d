"""How people ask for edits: templates only. `TRAIN` teaches the planner, `HELD_OUT` only ever tests it.

A template is literal text with [either|or] and {slots}; "!" marks an imperative, which may stand behind "could you".
Slots: {x} the thing with article and choice ("the second cat from the left"), {n} its bare phrase, {y} what is new
with its article, {c} a bare colour or material, {cx} "a yellow bus" for the same thing in another look, {one} "a red
one", {m} the stuff ("wood"); the others are spelled out in `words.FORMS`. No template, and no pattern of function
words with slots, stands on both sides.
"""

TRAIN: dict[str, tuple[str, ...]] = {
    "replace": (
        "![change|turn|transform|convert] {x} [into|to] {y}", "!make {x} into {y}", "!replace {x} [with|by] {y}",
        "!swap {x} [for|with|out for|out with] {y}", "!make {x} {y}", "!substitute {y} for {x}",
        "!use {y} instead of {x}", "!put {y} in place of {x}", "!put {y} where {x} is", "{y} instead of {x}",
        "{x} [->|=>|→] {y}", "{x} to {y}", "{x} into {y}", "{x}: {y}", "{x} should [be|become] {y}",
        "{x} should look like {y}", "{x} should turn into {y}", "!let {x} [be|become] {y}", "what if {x} [were|was|is] {y}?",
        "what if {x} [became|turned into] {y}?", "what if we had {y} instead of {x}?", "i want {x} to [be|become] {y}",
        "i want {y} instead of {x}", "i want {x} replaced [with|by] {y}", "!have {x} become {y}",
        "instead of {x}, show {y}", "instead of {x} i want {y}", "{x} must be {y}", "{x} becomes {y}", "{x} could be {y}",
        "{x} is now {y}", "i'd like {x} to [be|become] {y}", "i'd like to see {y} where {x} is", "i'd like {y} instead of {x}",
        "!make {x} look like {y}", "!make {y} out of {x}", "!make {y} from {x}", "!take out {x} and put in {y}",
        "!remove {x} and put {y} there", "![draw|paint] {y} over {x}", "![exchange|trade|switch] {x} for {y}",
        "!show {x} as {y}", "rather than {x}, {y}", "{x} needs to be {y}", "i want {x} changed to {y}", "!{v} {x} into {y}",
        "![draw|paint|put] {y} rather than {x}", "there should be {y} instead of {x}", "let's have {y} where {x} is",
        "why isn't {x} {y}?", "{x} would be better as {y}", "i would prefer {y} over {x}", "let's see {x} as {y}",
        "!get rid of {x} and add {y} instead", "!erase {x}, then draw {y} there",
    ),
    "recolour": (
        "!make {x} {c}", "![color|colour|paint|dye|tint] {x} {c}", "![color|colour|paint|dye] {x} in {c}",
        "![turn|change|recolor|recolour] {x} {c}", "![turn|change|recolor|switch] {x} [to|into] {c}",
        "!change the [color|colour] of {x} to {c}", "!change the {n} [color|colour] to {c}",
        "!change the {n}'s [color|colour] [to|into] {c}", "!give {x} a {c} [color|colour|tone|look]",
        "!make the [color|colour] of {x} {c}", "!set the [color|colour] of {x} to {c}", "!replace {x} [with|by] {one}",
        "!swap {x} for {one}", "!let {x} be {c}", "!have {x} in {c}", "!make {x} {one}", "!make {x} look {c}",
        "!change {x} [to|into] {cx}", "!turn {x} into {cx}", "!replace {x} with {cx}", "!make {x} {cx}",
        "{x} should be {c}", "{x} in {c}", "{x} [->|=>|→] {c}", "{x} to {c}", "{x}: {c}", "what if {x} [were|was|is] {c}?",
        "what if {x} had a {c} [color|colour]?", "i want {x} to be {c}", "i want {x} in {c}", "i want {x} {c}",
        "i'd like {x} {c}", "i'd like {x} to be {c}", "i'd like {x} in {c}", "i want {cx} instead of {x}",
        "{one} instead of {x}", "{x} must [be|become] {c}", "{x} could be {c}", "the [color|colour] of {x} should be {c}",
        "{x} would look [good|great|nice] in {c}", "{c} for {x}", "i prefer {x} in {c}", "{x} needs to be {c}",
        "{x} should have a {c} [color|colour]", "!use {c} for {x}", "!use {c} as the [color|colour] of {x}",
        "!show {x} in {c}", "{cx} instead of {x}", "{x} should become {c}", "!make {x} more {c}", "!{v} {x} {c}",
        "let's see {x} in {c}", "i'd love to have {x} in {c}", "why isn't {x} painted {c}?", "how about {c} for {x}?",
    ),
    "material": (
        "!make {x} {c}", "!make {x} out of {m}", "!make {x} from {m}", "!make {x} of {m}", "!turn {x} [to|into] {m}",
        "!change {x} to {m}", "!change the material of {x} to {m}", "!set the material of {x} to {m}",
        "!change the {n}'s material [to|into] {m}", "!replace {x} with {one}", "!swap {x} for {one}", "!turn {x} into {cx}",
        "!change {x} to {cx}", "!replace {x} with {cx}", "!replace {x} with one made of {m}", "!build {x} out of {m}",
        "!give {x} a {c} [look|surface|finish]", "!let {x} be made of {m}", "!render {x} in {m}", "!cover {x} [in|with] {m}",
        "!make {x} look like {m}", "!make {x} look {c}", "!make {x} look like it is made of {m}", "!carve {x} out of {m}",
        "{x} should be {c}", "{x} should be made [of|from|out of] {m}", "{x} made of {m}",
        "what if {x} [is|was|were] made [of|from|out of] {m}?", "what if {x} [was|were] {c}?", "i want {x} to be {c}",
        "i want {x} made [of|from] {m}", "i want {x} to be made of {m}", "i'd like {cx} instead of {x}",
        "{one} instead of {x}", "{x} [->|=>] {c}", "{x} in {m}", "{x} could be {c}", "{x} must be {c}",
        "{x} must be made of {m}", "{x} is made of {m}", "i'd like {x} to be made of {m}", "i'd like {x} {c}",
        "{x} should have a {c} [look|surface|finish]", "!use {m} for {x}", "!show {x} made of {m}", "{x} but made of {m}",
        "let's see {x} in {m}", "how about {m} for {x}?", "!form {x} from {m}", "{x} should consist of {m}",
    ),
    "add": (
        "!add {y} to {x}", "!put {y} [on|onto] {x}", "!give {x} {y}", "!give {y} to {x}", "!place {y} on {x}",
        "!let {x} wear {y}", "!make {x} wear {y}", "!have {x} wear {y}", "!dress {x} in {y}", "!equip {x} with {y}",
        "!show {x} with {y}", "!make {x} have {y}", "!let {x} have {y}", "!decorate {x} with {y}", "!attach {y} to {x}",
        "!draw {y} on {x}", "!add {y} on top of {x}", "!stick {y} on {x}", "{x} should [wear|have] {y}", "{x} needs {y}",
        "{x} with {y}", "i want {x} to [wear|have] {y}", "i want {y} on {x}", "i'd like {x} to [have|wear] {y}",
        "what if {x} [had|wore] {y}?", "{y} on {x}", "{y} for {x}", "{x} + {y}", "there should be {y} on {x}",
        "{x} wearing {y}", "{x} could use {y}", "what if there was {y} on {x}?", "{x} gets {y}", "{x} must have {y}",
        "i want {x} with {y}", "i'd like {y} on {x}", "let's see {x} with {y}", "!have {y} on {x}", "{x} has no {yn}, add one",
        "why isn't there {y} on {x}?", "{x} would look good with {y}", "how about {y} for {x}?",
    ),
    "add smile": (
        "!make {x} {yn}", "!let {x} {yn}", "{x} should {yn}", "i want {x} to {yn}", "!have {x} {yn}",
        "!put a {yn} on {x}", "!give {x} a {yn}", "what if {x} had a {yn}?", "{x} needs a {yn}", "!add a {yn} to {x}",
    ),
    "add alone": (
        "!add {y}", "!insert {y}", "!put {y} in the [picture|image|photo|scene]", "!put in {y}", "!draw {y}", "!paint {y}",
        "!place {y} in the [picture|scene|image]", "!include {y}", "!add {y} to the [picture|image|scene|photo]",
        "!show {y} too", "!bring in {y}", "!put {y} somewhere", "!put {y} there", "there should be {y}",
        "i want {y} in the [picture|photo|scene]", "i'd like to see {y}", "what if there was {y}?", "we need {y}",
        "{y} too", "i want {y} as well", "there could be {y} in it", "!add {y} somewhere", "i want {y}", "+ {y}",
        "there should also be {y}", "i'd like {y} in there", "what about {y}?", "!have {y} in the picture", "!let there be {y}",
        "there is no {yn} yet, add one", "how about {y}?", "i'd love to see {y} here",
    ),
    "remove": (
        "![remove|delete|erase|drop|cut|hide|eliminate|clear|discard] {x}", "!take {x} away", "!take away {x}",
        "!take out {x}", "!take {x} out", "!cut out {x}", "!cut {x} out", "!get rid of {x}",
        "!make {x} [disappear|vanish]", "!make {x} go away", "![remove|take|delete] {x} from the [picture|photo|image]",
        "!erase {x} from the scene", "!take {x} off", "!crop out {x}", "!wipe out {x}", "!paint over {x}",
        "!let {x} [disappear|vanish]", "!leave out {x}", "!edit out {x}", "!throw {x} away", "!throw out {x}",
        "no {n}", "without {x}", "i want {x} gone", "i want {x} [removed|deleted]", "i don't want {x}",
        "there should be no {n}", "{x} should disappear", "{x} should not be there", "{x} must go",
        "what if {x} [was|were] gone?", "what if {x} was not there?", "what if there was no {n}?", "i'd like {x} removed",
        "i'd like {x} to be gone", "no more {n}", "{x} should be [removed|deleted]", "{x} [->|=>] nothing",
        "{x} is in the way", "!lose {x}", "{x} out", "!delete {x} please", "i don't want to see {x}", "{x} should go away",
        "{x} has to disappear", "{x} should leave", "!clean away {x}", "we don't want {x} in the picture",
        "the picture should not have {x}", "i don't like {x}", "i don't need {x}", "!show it without {x}",
        "{x} should be left away", "!make it look as if {x} was not there",
    ),
    "resize": (
        "!make {x} {size}", "!make {x} [much|a bit|a lot|a little] {size}", "!{enlarge} {x}", "!turn {x} into {sized} one",
        "!let {x} be {size}", "!let {x} {grow}", "!make {x} {grow}", "!{increase} the size of {x}", "!scale {updown} {x}",
        "!scale {x} {updown}", "!change {x} to be {size}", "!resize {x} to be {size}", "{x} should be {size}", "{x} {size}",
        "i want {x} to be {size}", "i want {x} {size}", "i want {sized} {n}", "what if {x} [were|was] {size}?",
        "{x} is too {opposite}", "{x} needs to be {size}", "i'd like {x} {size}", "i'd like {x} to be {size}",
        "{x} should {grow}", "{x} must be {size}", "{x} could be {size}", "{x} looks too {opposite}", "{x} [->|:] {size}",
        "{x} should be {times} the size", "!make {x} {times} as big", "{x} should get {size}", "!{enlarge} {x} a bit",
        "!have {x} {size}", "let's see {x} {size}", "{x} is not {bare} enough", "!make {x} take {more} space",
    ),
    "move": (
        "![move|shift|drag|slide|push|bring] {x} {to}", "!move {x} [a bit|further] {to}", "![put|place|position] {x} {at}",
        "!let {x} be {at}", "!have {x} {at}", "!set {x} {at}", "!take {x} {to}", "{x} should be {at}", "{x} should go {to}",
        "i want {x} {at}", "what if {x} [was|were] {at}?", "i'd like {x} {at}", "{x} [->|=>|:] {direction}", "{x} {to}",
        "{x} must be {at}", "i want {x} to [stand|be] {at}", "{x} belongs {at}", "i'd like {x} to be {at}",
        "![move|bring|put] {x} over {to}", "{x} needs to be {at}", "{x} should stand {at}", "!show {x} {at}",
        "{x} should move {to}", "!change the position of {x} to the {direction}", "!make {x} stand {at}",
        "!make {x} go {to}", "!let {x} move {to}", "!relocate {x} {to}", "i want {x} moved {to}", "{x} goes {to}",
        "let's see {x} {at}", "{x} should rather be {at}",
    ),
    "background": (
        "!change the [background|backdrop] to {y}", "!replace the background with {y}", "!make the background {y}",
        "!turn the background into {y}", "!put {y} in the background", "!set the background to {y}",
        "!use {y} as the background", "!swap the background for {y}", "!change the scene to {y}", "!move the scene to {y}",
        "![place|put] everything [on|in|at] {y}", "!put it all in {y}", "!switch the backdrop to {y}",
        "!let the background be {y}", "!change the place to {y}", "!make it take place [in|on|at] {y}",
        "!move everything to {y}", "the [background|backdrop] should be {y}", "what if the background [was|were] {y}?",
        "i want {y} in the background", "i want {y} as [background|the background]", "background: {y}", "background [->|=>] {y}",
        "what if they were [in|on|at] {y}?", "the background should look like {y}", "{y} as background",
        "{y} in the background", "it should be [in|at|on] {y}", "what if it was all in {y}?", "i'd like {y} as background",
        "{y} instead of the background", "!show {y} behind everything", "i want it to be in {y}", "!make it look like {y} behind",
        "the scene should be {y}", "the picture should take place [in|on|at] {y}", "let's go to {y}",
        "there should be {y} in the background", "!have {y} in the background", "let's have {y} as the backdrop",
    ),
    "weather": (
        "!make it {verb}", "!let it {verb}", "!make it {adj}", "!make the weather {adj}", "!add {noun}", "!add some {noun}",
        "!put {noun} in the picture", "!change the weather to {noun}", "!turn it into a {adj} day", "!make it look {adj}",
        "!make it a {adj} day", "!turn the weather {adj}", "!change it to a {adj} day", "!give it some {noun}",
        "!put it in the {noun}", "!set the weather to {noun}", "!show it in the {noun}", "it should be {ger}",
        "it should {verb}", "it should be {adj}", "what if it [was|were] {ger}?", "what if it [was|were] {adj}?",
        "what if there was {noun}?", "the weather should be {adj}", "i want {noun}", "i want it to {verb}",
        "i want {adj} weather", "i want it to be {adj}", "in the {noun}", "{adj} weather", "{noun}", "{ger}",
        "there should be {noun}", "!make it start {ger}", "i'd like it to {verb}", "i'd like some {noun}",
        "weather: {noun}", "weather [->|=>] {adj}", "it is {ger} now", "!cover everything in {noun}", "a {adj} day",
        "let's have some {noun}", "it could be {adj}", "how about some {noun}?", "why is it not {adj}?", "!make it {adj} outside",
    ),
    "time": (
        "!make it {noun}", "!turn it into {noun}", "!make it {adv}", "!change the time [|of day] to {noun}",
        "!turn {other} into {noun}", "!set it {adv}", "!show it {adv}", "!make it look like {noun}", "!let it be {noun}",
        "!change it to {noun}", "!turn the picture into a {noun} scene", "!make this a {noun} scene", "!switch to {noun}",
        "it should be {noun}", "what if it [was|were] {noun}?", "what if it [was|were] {adv}?", "i want it {adv}",
        "i want it to be {noun}", "{adv}", "the same {adv}", "it is {noun} now", "the time should be {noun}",
        "i'd like a {noun} scene", "i'd like to see it {adv}", "{noun} instead of {other}", "{other} [->|=>] {noun}",
        "{noun}", "time: {noun}", "the picture should be {adv}", "it should look like {noun}", "!put it {adv}",
        "!let it get {noun}", "it should take place {adv}", "!change {other} to {noun}", "i'd like it to be {noun}",
        "let's make it {noun}", "how about {noun}?", "i want to see this {adv}", "why not {noun} instead of {other}?",
    ),
    "season": (
        "!make it {noun}", "!turn it into {noun}", "!change the season to {noun}", "!make it look like {noun}",
        "!let it be {noun}", "!show it in {noun}", "!set it in {noun}", "!switch to {noun}", "!turn {other} into {noun}",
        "!make the season {noun}", "!change it to {noun}", "!give it a {noun} look", "it should be {noun}",
        "the season should be {noun}", "what if it [was|were] {noun}?", "what if this [was|were] in {noun}?",
        "i want it to be {noun}", "in {noun}", "{noun} instead of {other}", "{noun}", "i'd like to see it in {noun}",
        "it is {noun} now", "{other} [->|=>] {noun}", "i want a {noun} scene", "season: {noun}", "it should look like {noun}",
        "!put it in {noun}", "the same in {noun}", "!make the picture look like {noun}", "i'd like it to be {noun}",
        "!change {other} to {noun}", "!turn it into a {noun} day", "let's make it {noun}", "how about {noun}?",
        "i want to see this in {noun}", "why not {noun} instead of {other}?",
    ),
    "style": (
        "!make it {y}", "!turn it into {y}", "!turn the [picture|photo|image] into {y}", "!change the style to {b}",
        "!make it look like {y}", "!draw it as {y}", "!convert it [to|into] {y}", "!paint it as {y}", "!render it as {y}",
        "!show it as {y}", "!redo it in the style of {y}", "!make {y} of it", "!make {y} out of it",
        "!change the [photo|picture|image] [to|into] {y}", "!transform this into {y}", "!make the [image|picture] {y}",
        "!paint it in {medium}", "!draw it in {medium}", "!give it the look of {y}", "!make it in the style of {y}",
        "it should be {y}", "it should look like {y}", "as {y}", "in the style of {y}", "what if it [was|were] {y}?",
        "what if it was drawn in {medium}?", "i want {y} of this", "i want it as {y}", "i'd like {y} of this", "{b} style",
        "the style should be {b}", "the picture should look like {y}", "i want it to look like {y}", "style: {b}",
        "i'd like it as {y}", "!use the style of {y}", "!make this look like {y}", "{y} of this", "the picture as {y}",
        "the picture should be {y}", "!draw the whole picture as {y}", "let's see it as {y}", "how about {y} of it?",
    ),
}  # fmt: skip

HELD_OUT: dict[str, tuple[str, ...]] = {
    "replace": (
        "how would it look if {x} had been {y} all along?", "where there is {x}, i would rather see {y}",
        "!pretend that {x} is {y}", "{x} has to go; bring in {y} in its place", "can {x} be {y} for once?",
        "why not have {y} where {x} stands now?", "!give me {y} at the spot of {x}",
        "it would be fun to have {y} as a stand-in for {x}", "{y}, that is what {x} ought to turn into",
        "!let {y} take over from {x}", "we need {y} here, not {x}", "my wish: {x} becoming {y}",
    ),
    "recolour": (
        "how would {x} look if it were {c}?", "!give {x} a coat of {c} paint", "!let me see {x} with {c} as its colour",
        "!pour {c} all over {x}", "{c} is the colour that {x} ought to have", "can {x} get {c} instead of what it is now?",
        "i think {c} would suit {x} better", "wouldn't {x} be nicer if it was {c}?", "could {x} be of a {c} hue?",
        "!switch the shade of {x} over to {c}",
    ),
    "material": (
        "imagine someone had built {x} entirely out of {m}", "how would {x} look in {m}?",
        "!use {m} as the material for {x}", "{m} is what {x} ought to consist of", "!let {m} be the stuff of {x}",
        "could {x} have been made with {m}?", "!give me {x} but {c}", "why not pick {m} for {x}?",
        "wouldn't {x} be nicer if it was {c}?", "!have someone craft {x} using nothing but {m}",
    ),
    "add": (
        "how would {x} look with {y}?", "could {x} have {y} too?", "{x} is missing {y}",
        "it would be nice to see {y} upon {x}", "can we see {x} in {y}?", "!let there be {y} on {x}",
        "{y} would go well with {x}", "why doesn't {x} have {y}?", "all that {x} lacks is {y}",
    ),
    "add smile": (
        "!get {x} to {yn}", "could {x} be made to {yn}?", "how would {x} look with a {yn}?",
        "why doesn't {x} have a {yn}?", "{x} is missing a {yn}", "!bring a {yn} to the face of {x}",
    ),
    "add alone": (
        "could there be {y} somewhere in here?", "it needs {y}", "the picture lacks {y}", "i miss {y} in this",
        "how about having {y} around?", "!squeeze {y} into the shot", "!let {y} appear", "it would be nicer with {y}",
    ),
    "remove": (
        "i would like the picture better without {x}", "can we do without {x}?", "{x} has no business being here",
        "{x} does not belong in there", "!see to it that {x} is no longer there", "!send {x} out of the frame",
        "how would this look if {x} had never been there?", "could {x} be left out?", "nobody needs {x}",
        "let us be free of {x}",
    ),
    "resize": (
        "!let {x} take up {more} room", "could {x} have {times} the size?", "i would rather have {x} {size} than it is now",
        "why is {x} so {opposite}?", "how about {sized} version of {x}?", "{x} ought to be a lot {size}",
        "can {x} be any {size}?", "{x} would be better if it was {size}", "!see that {x} gets {size}",
    ),
    "move": (
        "{x} would look better {at}", "could {x} stand {at} instead?", "how about having {x} {at}?",
        "!find a place for {x} {at}", "why isn't {x} {at}?", "!let me see {x} over {at}", "i would rather have {x} {at}",
        "{at} is where {x} belongs", "!get {x} to go {to}", "can {x} go {to}?",
    ),
    "background": (
        "!let the whole thing happen in {y}", "how would this look with {y} behind it all?", "could {y} be the setting?",
        "!take us to {y}", "{y} would be a nicer place for this", "!transport them to {y}",
        "what is behind them should become {y}", "!have {y} for a backdrop", "!set this against {y}",
        "can we have {y} as what is behind?",
    ),
    "weather": (
        "how would this look on a {adj} day?", "could we have some {noun} here?", "!bring on the {noun}",
        "i think it ought to be {ger} outside", "a bit of {noun} would be nice", "why isn't it {ger}?",
        "!fill the air with {noun}", "!give me {noun} all over the place", "!let there be {noun} everywhere",
        "!pretend it is {adj} out there",
    ),
    "time": (
        "how does this look {adv}?", "could this have been taken {adv}?", "!take the picture again {adv}",
        "i wonder what it is like {adv}", "why not {adv}?", "!shift the clock so that it is {noun}",
        "!wait until it is {noun}", "!give the whole thing a {noun} feel", "!pretend that it is {noun}",
        "!move this from {other} to {noun}",
    ),
    "season": (
        "how does this look in {noun}?", "could this have been taken during {noun}?", "!take the picture again in {noun}",
        "!wait until it is {noun}", "i wonder what it is like in {noun}", "why not have {noun} here?", "!let {noun} come",
        "!pretend that it is {noun}", "!give the whole thing a {noun} feel", "!skip ahead until {noun}",
    ),
    "style": (
        "how would this look as {y}?", "could an artist have done this as {y}?", "!pretend that it is {y}",
        "!let me have this in the manner of {y}", "i would rather have {y} than this", "why not have it as {y}?",
        "it would be lovely as {y}", "can i get this as {y}?", "!let the whole thing become {y}",
        "!give all of it a {b} feel",
    ),
}  # fmt: skip

SELECTORS: dict[str, tuple[str, ...]] = {
    "best": ("the {n}",) * 8 + ("this {n}", "that {n}", "my {n}", "the {n} here", "the {n} in the picture"),
    "all": (
        "all the {p}", "all {p}", "the {p}", "the {p}", "every {n}", "each {n}", "all of the {p}", "every single {n}",
        "each of the {p}", "all those {p}", "every one of the {p}", "these {p}", "the {p} here",
    ),
    "left": (
        "the {n} on the left", "the left {n}", "the leftmost {n}", "the {n} to the left", "the left-hand {n}",
        "the {n} on the left side", "the {n} on the left-hand side", "the far left {n}", "the {n} at the left",
        "the {n} in the left part", "the {n} at the far left", "the {n} which is on the left", "the first {n} from the left",
        "the {n} standing on the left", "the left one of the two {p}", "the {n} farthest left",
    ),
    "middle": (
        "the {n} in the [middle|center|centre]", "the middle {n}", "the central {n}", "the [center|centre] {n}",
        "the {n} at the [center|centre]", "the {n} which is in the middle", "the {n} standing in the middle",
        "the middle one of the three {p}", "the {n} in the middle of the [picture|photo]",
    ),
    "top": (
        "the {n} at the top", "the top {n}", "the topmost {n}", "the upper {n}", "the {n} on top", "the highest {n}",
        "the {n} in the upper part", "the {n} which is at the top", "the upper one of the two {p}", "the {n} farthest up",
    ),
    "bottom": (
        "the {n} at the bottom", "the bottom {n}", "the lower {n}", "the lowest {n}", "the {n} in the lower part",
        "the bottommost {n}", "the {n} which is at the bottom", "the lower one of the two {p}", "the {n} farthest down",
    ),
    "largest": (
        "the [bigger|larger|taller] {n}", "the [biggest|largest|tallest] {n}", "the [big|large] {n}",
        "the {n} which is [bigger|larger]", "the [bigger|larger] one of the two {p}", "the biggest one of the {p}",
        "the largest of the {p}", "the {n} with the biggest size",
    ),
    "smallest": (
        "the [smaller|shorter|littler] {n}", "the [smallest|tiniest|shortest] {n}", "the [small|little|tiny] {n}",
        "the {n} which is smaller", "the [smaller|tinier] one of the two {p}", "the smallest one of the {p}",
        "the smallest of the {p}", "the {n} with the smallest size",
    ),
    "nth": (
        "the {o} {n} from the {d}", "the {n} that is {o} from the {d}", "{o} {n} from the {d}", "the {o} {n} from {d}",
        "the {o} from the {d} of the {p}", "{n} number {k} from the {d}", "the {o} {n} counted from the {d}",
        "the {o} one of the {p} from the {d}",
    ),
}  # fmt: skip
SELECTORS["right"] = tuple(s.replace("left", "right") for s in SELECTORS["left"])
HELD_OUT_SELECTORS: dict[str, tuple[str, ...]] = {
    "best": ("the {n}",),
    "all": ("each and every {n}", "any and all {p}", "each one of the {p}", "the entire lot of {p}", "whatever {p} there are"),
    "left": (
        "the {n} furthest to the left", "the {n} that is on the left", "the {n} over on the left-hand edge",
        "the {n} sitting at the very left", "the {n} you see on the left", "the one of the {p} on the left",
    ),
    "middle": (
        "the {n} right in the middle", "the {n} that is in the middle", "the one of the {p} in the middle",
        "the {n} between the others",
    ),
    "top": ("the {n} furthest up", "the {n} that is at the top", "the uppermost {n}", "the one of the {p} at the top"),
    "bottom": ("the {n} furthest down", "the {n} that is at the bottom", "the {n} down below", "the one of the {p} at the bottom"),
    "largest": ("the {n} that is bigger", "the bigger of the {p}", "the {n} of the greatest size", "whichever {n} is biggest"),
    "smallest": ("the {n} that is smaller", "the smaller of the {p}", "the {n} of the least size", "whichever {n} is smallest"),
    "nth": (
        "the {n} in {o} place from the {d}", "from the {d}, the {o} {n}", "the {o} of the {p} from the {d}",
        "counting from the {d}, the {o} {n}",
    ),
}  # fmt: skip
HELD_OUT_SELECTORS["right"] = tuple(s.replace("left", "right") for s in HELD_OUT_SELECTORS["left"])

WRAPPERS = (  # around imperatives
    "please {i}", "{i} please", "{i}, please", "could you {i}?", "can you {i}?", "would you {i}?", "could you please {i}?",
    "can you please {i}?", "i'd like you to {i}", "i want you to {i}", "i would like to {i}", "go ahead and {i}",
    "edit the [picture|photo]: {i}", "kindly {i}", "try to {i}", "let's {i}", "how about we {i}?", "can we {i}?",
    "i need you to {i}", "just {i}", "you should {i}", "would you please {i}", "will you {i}?",
)  # fmt: skip
NEUTRAL_WRAPPERS = (  # around anything
    "in this [photo|picture|image], {i}", "{i} in the picture", "{i} for me", "hey, {i}", "hi! {i}", "now {i}", "ok {i}",
    "then {i}", "{i} thanks", "{i}, thank you", "{i} now", "{i}!", "maybe {i}", "this time {i}", "next: {i}", "also {i}",
)  # fmt: skip
HELD_OUT_WRAPPERS = (
    "would you be so kind as to {i}?", "it would be great if you could {i}", "do me a favour and {i}",
    "would it be possible to {i}?", "i was wondering whether you could {i}", "my request is to {i}",
)  # fmt: skip
HELD_OUT_NEUTRAL_WRAPPERS = ("if possible, {i}", "{i}, if you do not mind", "one more thing: {i}", "well, {i}")

JOINERS = (
    "{a} and {b}", "{a}, and {b}", "{a}, then {b}", "{a} and then {b}", "{a}; {b}", "{a}. {b}", "{a} and also {b}",
    "{a} plus {b}", "first {a}, then {b}", "{a}. also, {b}", "{a}, {b}", "{a}, also {b}", "{a} & {b}",
)  # fmt: skip
HELD_OUT_JOINERS = ("{a}, and while you are at it, {b}", "{a}, besides that {b}", "{a}, after which {b}", "{a}. on top of it {b}")
GAPPED = (  # two edits, one verb; {o} is what the thing becomes
    "!make {x} {o} and {x2} {o2}", "!make {x} {o}, {x2} {o2}", "!turn {x} into {o} and {x2} into {o2}",
    "!change {x} to {o} and {x2} to {o2}", "!turn {x} into {o}, {x2} into {o2}", "{x} should be {o} and {x2} {o2}",
    "what if {x} was {o} and {x2} {o2}?", "{x} -> {o}, {x2} -> {o2}", "!change {x} into {o} and also {x2} into {o2}",
    "{x} to {o} and {x2} to {o2}",
)  # fmt: skip
HELD_OUT_GAPPED = (
    "!let {x} become {o} while {x2} becomes {o2}", "i would rather have {x} {o} and {x2} {o2}",
    "how would it look if {x} were {o} and {x2} {o2}?",
)  # fmt: skip
