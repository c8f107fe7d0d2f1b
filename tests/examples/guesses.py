"""A target without a model for the examples: each seed gives the right answer or a wrong one."""

import re


class Guesses:
    name = "guesses"

    async def sample(self, task, prompt, seeds):
        return [self.answer(task.text, seed) for seed in seeds]

    def answer(self, asked, seed):
        if found := re.search(r"(\d+) \+ (\d+)", asked):
            return f"{int(found[1]) + int(found[2]) + seed % 2 * (seed % 7 + 1)}"
        if "capital of Kenya" in asked:
            return ("Nairobi", "Mombasa", "Kisumu")[seed % 3]
        if "day of the week" in asked:
            return ("Sunday", "Thursday", "Saturday", "Monday")[seed % 4]
        return " ".join(["word"] * (seed % 9 + 1))
