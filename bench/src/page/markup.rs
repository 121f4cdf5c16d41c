//! Elements of HTML and SVG. Whatever text is put into them is escaped.

use std::fmt::{self, Display, Formatter};

/// An element with its attributes and what is in it.
#[derive(Clone, Debug)]
pub(super) struct Element {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    content: Vec<Node>,
}

#[derive(Clone, Debug)]
enum Node {
    Element(Element),
    Text(String),
}

/// Elements of HTML that have no end.
const VOID: [&str; 2] = ["meta", "br"];

impl Element {
    pub(super) fn new(name: &'static str) -> Element {
        Element { name, attributes: Vec::new(), content: Vec::new() }
    }

    /// With an attribute.
    pub(super) fn with(mut self, name: &'static str, value: impl Display) -> Element {
        self.attributes.push((name, value.to_string()));
        self
    }

    /// With an attribute that is a length, told to a tenth.
    pub(super) fn at(self, name: &'static str, value: f64) -> Element {
        self.with(name, Tenth(value))
    }

    pub(super) fn class(self, class: impl Display) -> Element {
        self.with("class", class)
    }

    pub(super) fn text(mut self, text: impl Into<String>) -> Element {
        self.content.push(Node::Text(text.into()));
        self
    }

    /// With further elements in it.
    pub(super) fn and(mut self, elements: impl IntoIterator<Item = Element>) -> Element {
        self.content.extend(elements.into_iter().map(Node::Element));
        self
    }
}

impl IntoIterator for Element {
    type Item = Element;
    type IntoIter = std::iter::Once<Element>;

    fn into_iter(self) -> Self::IntoIter {
        std::iter::once(self)
    }
}

impl Display for Element {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "<{}", self.name)?;
        for (name, value) in &self.attributes {
            write!(f, " {name}=\"{}\"", Escaped(value))?;
        }
        write!(f, ">")?;
        for node in &self.content {
            match node {
                Node::Element(element) => element.fmt(f)?,
                Node::Text(text) => Escaped(text).fmt(f)?,
            }
        }
        if VOID.contains(&self.name) { Ok(()) } else { write!(f, "</{}>", self.name) }
    }
}

struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            other => write!(f, "{other}"),
        })
    }
}

/// A length to a tenth, without a zero that says nothing.
pub(super) struct Tenth(pub(super) f64);

impl Display for Tenth {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", (self.0 * 10.0).round() / 10.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written() {
        let inner = Element::new("b").text("1 < 2 & \"3\"");
        for (element, expected) in [
            (Element::new("br"), "<br>"),
            (Element::new("path"), "<path></path>"),
            (Element::new("g").at("x", 1.0).at("y", 2.345), r#"<g x="1" y="2.3"></g>"#),
            (Element::new("p").class("<\">"), r#"<p class="&lt;&quot;&gt;"></p>"#),
            (Element::new("p").and(inner), "<p><b>1 &lt; 2 &amp; &quot;3&quot;</b></p>"),
        ] {
            assert_eq!(element.to_string(), expected);
        }
    }
}
