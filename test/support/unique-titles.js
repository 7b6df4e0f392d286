/**
 * A reporter with which a run fails when two tests of a file have the same title, the titles of their groups and the
 * values of their rows included: such a title does not say which rule is broken. Only a run sees the rows.
 */
export default class UniqueTitles {
  #repeated = [];

  onTestResult({ path }, { testResults }) {
    const titles = testResults.map(({ fullName }) => fullName);
    for (const title of new Set(titles)) {
      if (titles.indexOf(title) !== titles.lastIndexOf(title))
        this.#repeated.push(`${path}: ${title}`);
    }
  }

  onRunComplete() {
    if (this.#repeated.length > 0)
      process.stderr.write(
        `\nThe same title twice:\n${this.#repeated.join("\n")}\n`,
      );
  }

  getLastError() {
    if (this.#repeated.length > 0) return new Error("the same title twice");
  }
}
