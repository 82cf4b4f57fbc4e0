//! JSON, as much as a plugin needs of it: a host has checked that its input is well-formed.

/// A value. Numbers, of which this plugin reads none, keep their digits.
pub enum Json {
    Null,
    Bool,
    Number,
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

const DEPTH: usize = 64;

impl Json {
    /// Reads a value; None for what is not JSON, or nested too deeply.
    pub fn parse(bytes: &[u8]) -> Option<Json> {
        let mut parser = Parser { text: std::str::from_utf8(bytes).ok()?, at: 0 };
        let value = parser.value(0)?;
        parser.skip_space();
        (parser.at == bytes.len()).then_some(value)
    }

    pub fn member(&self, name: &str) -> Option<&Json> {
        match self {
            Json::Object(members) => members.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Json::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn elements(&self) -> &[Json] {
        match self {
            Json::Array(elements) => elements,
            _ => &[],
        }
    }
}

/// A text as a JSON string.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\0'..='\x1f' => out.push_str(&format!("\\u{:04x}", character as u32)),
            _ => out.push(character),
        }
    }
    out.push('"');
    out
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    /// Whether this comes next, which is then behind.
    fn take(&mut self, wanted: &str) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(wanted);
        self.at += if found { wanted.len() } else { 0 };
        found
    }

    fn value(&mut self, depth: usize) -> Option<Json> {
        if depth > DEPTH {
            return None;
        }
        if self.take("null") {
            Some(Json::Null)
        } else if self.take("true") || self.take("false") {
            Some(Json::Bool)
        } else if self.take("[") {
            self.array(depth)
        } else if self.take("{") {
            self.object(depth)
        } else if self.take("\"") {
            self.string().map(Json::Text)
        } else {
            self.number()
        }
    }

    fn array(&mut self, depth: usize) -> Option<Json> {
        let mut elements = Vec::new();
        if self.take("]") {
            return Some(Json::Array(elements));
        }
        loop {
            elements.push(self.value(depth + 1)?);
            if !self.take(",") {
                return self.take("]").then_some(Json::Array(elements));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Option<Json> {
        let mut members = Vec::new();
        if self.take("}") {
            return Some(Json::Object(members));
        }
        loop {
            let name = if self.take("\"") { self.string()? } else { return None };
            let value = if self.take(":") { self.value(depth + 1)? } else { return None };
            members.push((name, value));
            if !self.take(",") {
                return self.take("}").then_some(Json::Object(members));
            }
        }
    }

    fn number(&mut self) -> Option<Json> {
        let len = self.rest().bytes().take_while(|byte| b"+-.eE0123456789".contains(byte)).count();
        let digits = &self.rest()[..len];
        let number = digits.parse::<f64>().ok().map(|_| Json::Number);
        self.at += len;
        number
    }

    /// What follows an opening quote, up to the closing one.
    fn string(&mut self) -> Option<String> {
        let mut out = String::new();
        loop {
            let character = self.next()?;
            match character {
                '"' => return Some(out),
                '\\' => out.push(self.escape()?),
                _ => out.push(character),
            }
        }
    }

    fn next(&mut self) -> Option<char> {
        let character = self.rest().chars().next()?;
        self.at += character.len_utf8();
        Some(character)
    }

    fn escape(&mut self) -> Option<char> {
        Some(match self.next()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => return self.escaped_character(),
            plain => plain,
        })
    }

    /// The character of four digits, or of two such escapes that are a surrogate pair.
    fn escaped_character(&mut self) -> Option<char> {
        let first = self.four_digits()?;
        if let Some(character) = char::from_u32(first) {
            return Some(character);
        }
        if first < 0xdc00 && self.rest().starts_with("\\u") {
            self.at += 2;
            let second = self.four_digits()?;
            if (0xdc00..=0xdfff).contains(&second) {
                return char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00));
            }
        }
        Some(char::REPLACEMENT_CHARACTER)
    }

    fn four_digits(&mut self) -> Option<u32> {
        let digits = self.rest().get(..4)?;
        let value = u32::from_str_radix(digits, 16).ok()?;
        self.at += 4;
        Some(value)
    }
}
