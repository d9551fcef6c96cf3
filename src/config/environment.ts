/** The environment as a value; tests pass their own. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The text with every `${NAME}` replaced, and one sentence for each that could not be. */
export interface Substitution {
  readonly text: string;
  readonly faults: readonly string[];
}

/**
 * Replaces `${NAME}` by the value of the environment variable. `$${` stands for a literal `${`. The result is not
 * read again: what a variable holds can neither refer to another nor add YAML.
 */
export function substitute(text: string, env: Environment): Substitution {
  const faults: string[] = [];
  const result = text.replace(/\$\$\{|\$\{([^}]*)(\}?)/g, (written: string, name?: string, end?: string) => {
    if (name === undefined) return "${";
    if (end !== "}" || !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      faults.push(`found ${JSON.stringify(written)}, expected \${NAME}, or $\${ for a literal \${`);
      return written;
    }
    // A name such as toString must not be found on the object's prototype.
    const value = Object.hasOwn(env, name) ? env[name] : undefined;
    if (value === undefined) faults.push(`the environment variable ${name} is not set`);
    return value ?? written;
  });
  return { text: result, faults };
}
