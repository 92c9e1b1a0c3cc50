/* A listening test: X is the unmarked A or the marked B of a pair of sounds, at random.
 *
 * <div class="abx"></div> becomes the test. Its pairs are the rows of the table before it: what
 * they are, then players of both sounds.
 */
"use strict";

const TRIALS = 10;

/** The probability that guessing gets at least `right` of `trials` right. */
function guessing(right, trials) {
  let ways = 1;
  let sum = 0;
  for (let number = 0; number <= trials; number++) {
    if (number >= right) sum += ways;
    ways = (ways * (trials - number)) / (number + 1);
  }
  return sum / 2 ** trials;
}

function abx(root, rows) {
  root.innerHTML = `
    <p><label>Speech: <select></select></label></p>
    <p class="abx-play"><button>Play A</button> <button>Play B</button> <button>Play X</button></p>
    <p class="abx-say"><button>X is A</button> <button>X is B</button></p>
    <p><button class="abx-again">Begin again</button></p>
    <p role="status"></p>`;
  const select = root.querySelector("select");
  const plays = root.querySelectorAll(".abx-play button");
  const answers = root.querySelectorAll(".abx-say button");
  const status = root.querySelector("[role=status]");
  const pairs = rows.map((row) => {
    select.add(new Option(row.cells[0].textContent));
    return [...row.querySelectorAll("audio")].map((player) => player.src);
  });
  let sound = new Audio();
  let right, trials, hidden;

  const play = (which) => {
    sound.pause();
    sound = new Audio(pairs[select.selectedIndex][which]);
    sound.play();
  };
  const draw = () => (hidden = Math.random() < 0.5 ? 0 : 1);
  const begin = () => {
    sound.pause();
    right = trials = 0;
    draw();
    for (const button of answers) button.disabled = false;
    status.textContent = `A is unmarked, B is marked. Which is X? ${TRIALS} trials.`;
  };
  const answer = (which) => {
    right += which === hidden ? 1 : 0;
    trials += 1;
    const share = (100 * guessing(right, trials)).toPrecision(2);
    status.textContent =
      `${which === hidden ? "Right" : "Wrong"}. ${right} of ${trials} right; ` +
      `guessing gets as many with a probability of ${Number(share)} %.`;
    for (const button of answers) button.disabled = trials === TRIALS;
    draw();
  };

  plays.forEach((button, which) => {
    button.addEventListener("click", () => play(which < 2 ? which : hidden));
  });
  answers.forEach((button, which) => button.addEventListener("click", () => answer(which)));
  select.addEventListener("change", begin);
  root.querySelector(".abx-again").addEventListener("click", begin);
  begin();
}

for (const root of document.querySelectorAll(".abx")) {
  const tables = [...document.querySelectorAll("table")];
  const before = tables.filter(
    (table) => table.compareDocumentPosition(root) & Node.DOCUMENT_POSITION_FOLLOWING,
  );
  abx(root, [...before.at(-1).tBodies[0].rows]);
}
