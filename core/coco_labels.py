"""COCO's 80 object classes, and the everyday words that name them.

The classes are those of COCO 2014/2017 (arXiv 1405.0312) in the annotations' order, which detectors trained on it number
them by. The words are a short list of our own; CHAIR's published table is longer.
"""

from __future__ import annotations

from anyprefer.core.mentions import Vocabulary

LABELS = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant",
    "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
    "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli",
    "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet",
    "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink",
    "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip
SYNONYMS = {
    "person": (
        "man",
        "woman",
        "boy",
        "girl",
        "child",
        "kid",
        "baby",
        "lady",
        "guy",
        "player",
        "rider",
        "skier",
        "surfer",
    ),
    "bicycle": ("bike",),
    "car": ("automobile", "taxi", "suv", "sedan", "jeep"),
    "motorcycle": ("motorbike", "scooter", "moped"),
    "airplane": ("plane", "aeroplane", "aircraft", "jet"),
    "truck": ("lorry", "pickup"),
    "boat": ("ship", "sailboat", "canoe", "kayak", "ferry"),
    "traffic light": ("traffic signal", "stop light", "stoplight"),
    "fire hydrant": ("hydrant",),
    "bird": ("seagull", "pigeon", "duck", "goose", "parrot", "owl", "swan"),
    "cat": ("kitten", "kitty"),
    "dog": ("puppy",),
    "horse": ("pony", "foal"),
    "sheep": ("lamb", "ram", "ewe"),
    "cow": ("cattle", "calf", "ox", "bull"),
    "backpack": ("rucksack",),
    "handbag": ("purse",),
    "tie": ("necktie",),
    "suitcase": ("luggage",),
    "skis": ("ski",),
    "sports ball": ("ball", "baseball", "basketball", "football", "soccer ball", "tennis ball"),
    "baseball glove": ("mitt",),
    "surfboard": ("surf board",),
    "tennis racket": ("racket", "racquet"),
    "wine glass": ("wineglass",),
    "cup": ("mug",),
    "sandwich": ("burger", "hamburger"),
    "donut": ("doughnut",),
    "couch": ("sofa",),
    "potted plant": ("houseplant", "house plant"),
    "dining table": ("table",),
    "toilet": ("toilet seat",),
    "tv": ("television", "tv monitor", "tv set", "television set"),
    "laptop": ("notebook computer", "laptop computer"),
    "mouse": ("computer mouse",),
    "remote": ("remote control",),
    "keyboard": ("computer keyboard",),
    "cell phone": ("cellphone", "mobile phone", "phone", "smartphone"),
    "microwave": ("microwave oven",),
    "oven": ("stove",),
    "refrigerator": ("fridge",),
    "scissors": ("scissor",),
    "hair drier": ("hair dryer", "hairdryer"),
}
COCO = Vocabulary(LABELS, SYNONYMS)
