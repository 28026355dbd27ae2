// The control API of the sandbox: reading, and acting as a person.

export class Problem extends Error {}

async function answer(path, options) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...options });
  } catch {
    throw new Problem("The sandbox does not answer. Is it still running?");
  }
  const body = await response.json().catch(() => null);
  if (response.ok && body !== null) return body;
  const said = body?.error ?? `${response.status} ${response.statusText}`;
  throw new Problem(`The sandbox refused this: ${said}`);
}

export const read = (path) => answer(path, {});

export const post = (path, body) =>
  answer(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });

/** Acts as a person. `act` and `body` are those at the top of `bot/sandbox/control.py`. */
export const actAs = (person, act, body = {}) =>
  post(`/sandbox/people/${encodeURIComponent(person)}/${act}`, body);

const WORDS = {
  operation_timeout:
    "The bot did not answer within 3 seconds. What was sent may still have an effect",
  dispatch_failed: "The bot could not be reached, so nothing was done",
  unknown_command: "There is no such command. Commands begin with /eks-access",
  not_in_channel: "This person is not a member of the channel, so nothing was sent",
  channel_not_found: "That channel is not there any more",
  is_archived: "This channel is archived; nobody can post in it",
  not_configured: "The app has interactivity turned off, so nothing was sent",
  invalid_command_response: "The bot answered with a message that Slack would not take",
  invalid_view_response: "The bot answered with a view that Slack would not take",
  invalid_options: "The bot answered with options that Slack would not take",
};

/** The sentence for an error of the workspace, with its code at the end. */
export function inWords(code) {
  return `${WORDS[code] ?? "That did not work"} (${code}).`;
}
