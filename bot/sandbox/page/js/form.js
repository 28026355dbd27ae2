// What is put into the inputs of one view or message, kept while the page draws it anew.

const SELECTED = {
  plain_text_input: "value",
  number_input: "value",
  email_text_input: "value",
  url_text_input: "value",
  static_select: "selected_option",
  external_select: "selected_option",
  radio_buttons: "selected_option",
  checkboxes: "selected_options",
  multi_static_select: "selected_options",
  multi_external_select: "selected_options",
  users_select: "selected_user",
  conversations_select: "selected_conversation",
  channels_select: "selected_channel",
  multi_users_select: "selected_users",
  multi_conversations_select: "selected_conversations",
  multi_channels_select: "selected_channels",
  datepicker: "selected_date",
  timepicker: "selected_time",
  datetimepicker: "selected_date_time",
};

/** Each element of the blocks that holds a value, with its block. */
export function* holding(blocks) {
  for (const block of blocks) {
    const inside = { actions: block.elements, section: [block.accessory], input: [block.element] };
    for (const element of inside[block.type] ?? []) {
      if (element && SELECTED[element.type]) yield [block, element];
    }
  }
}

const initialKey = (kind) =>
  SELECTED[kind] === "value" ? "initial_value" : SELECTED[kind].replace("selected_", "initial_");

const isMany = (kind) => kind === "checkboxes" || kind.startsWith("multi_");

/** Whether a list that was drawn anew still offers what was chosen from it. */
function offers(element, held) {
  const groups = element.option_groups ?? (element.options ? [element] : null);
  if (groups === null) return true;
  const values = new Set(groups.flatMap((group) => group.options.map((option) => option.value)));
  return [held].flat().every((option) => option === null || values.has(option.value));
}

/** Holds values as Slack's `state.values` does: a text, an option object, a list of them, an id. */
export class Form {
  constructor() {
    this.held = new Map();
    this.errors = {};
  }

  key(block, element) {
    return `${block.block_id}\n${element.action_id}\n${element.type}`;
  }

  /** Takes in elements that were not there before; `values` is the view's `state.values`. */
  meet(blocks, values = {}) {
    for (const [block, element] of holding(blocks)) {
      const key = this.key(block, element);
      if (this.held.has(key) && offers(element, this.held.get(key))) continue;
      const sent = values[block.block_id]?.[element.action_id];
      const empty = isMany(element.type) ? [] : null;
      const initial = element[initialKey(element.type)];
      const known = sent?.type === element.type ? sent[SELECTED[element.type]] : initial;
      this.held.set(key, offers(element, known ?? empty) ? (known ?? empty) : (initial ?? empty));
    }
  }

  get(block, element) {
    return this.held.get(this.key(block, element)) ?? null;
  }

  set(block, element, value) {
    this.held.set(this.key(block, element), value);
  }

  /** A VALUE of the control API. */
  value(block, element) {
    const held = this.get(block, element);
    if (Array.isArray(held)) return held.map((one) => one?.value ?? one);
    return held?.value ?? held;
  }

  /** All values as the control API takes them: {BLOCK_ID: {ACTION_ID: VALUE}}. */
  state(blocks) {
    const state = {};
    for (const [block, element] of holding(blocks)) {
      state[block.block_id] ??= {};
      state[block.block_id][element.action_id] = this.value(block, element);
    }
    return state;
  }
}

const forms = new Map();

/** The form of a view or message by its id, for as long as the page is open. */
export function formOf(id) {
  if (!forms.has(id)) forms.set(id, new Form());
  return forms.get(id);
}
