"""The embedded world of pictures: a few coloured shapes on a background, drawn with ground truth, described, asked about.

Pure data: everything follows from (split, seed, number), so no picture is kept and splits never overlap.

    one = scene("heldout", 0, 17)          # world.py: what is where
    picture(one).save("scene.png")         # drawing.py: 128x128 RGB
    described(one, random.Random(0))       # captions.py: with the language prior that makes a model hallucinate
    yes_no(one, "swap", "no", rng)         # questions.py
"""
