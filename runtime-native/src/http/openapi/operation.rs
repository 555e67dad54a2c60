//! What is said of one operation: of a method of a route.
//!
//! ```text
//!   Operation::new("readMessages", "Topics", "Read a partition without a consumer")
//!       .path::<TopicName>("topic", "The topic.")
//!       .query(number("limit", "How many records at most.", 1..=10_000).by_default(500))
//!       .answer(Answer::json::<Vec<Record>>(200, "The records."))
//!       .errors(&[(404, "topic_not_found")])
//! ```
//!
//! Schemas come from the types that requests are parsed into and answers are written from. What every operation can be
//! answered with is added when the document is made.

use std::{collections::BTreeSet, ops::RangeInclusive};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::codes::{self, Code};

/// Makes a type's schema, with what it refers to among the generator's definitions.
type MakeSchema = fn(&mut SchemaGenerator) -> Schema;

/// What is said of one operation.
#[derive(Debug)]
pub(crate) struct Operation {
    /// Its name in clients that are made from the document: unique, in camel case.
    pub(super) id: &'static str,
    /// Under which heading it stands.
    pub(super) tag: &'static str,
    /// What it does, in a few words.
    pub(super) summary: &'static str,
    description: &'static str,
    pub(super) parameters: Vec<Parameter>,
    body: Option<Body>,
    pub(super) answers: Vec<Answer>,
    pub(super) errors: BTreeSet<Code>,
}

/// A parameter in a path, a query or a header.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub(super) place: &'static str,
    pub(super) name: &'static str,
    about: &'static str,
    required: bool,
    schema: ParameterSchema,
    example: Option<Value>,
}

#[derive(Debug)]
enum ParameterSchema {
    Of(MakeSchema),
    Given(Value),
}

#[derive(Debug)]
struct Body {
    required: bool,
    contents: Vec<Content>,
}

/// One form that a body can have.
#[derive(Debug)]
struct Content {
    media_type: &'static str,
    schema: MakeSchema,
    examples: Vec<(&'static str, Value)>,
}

/// One status that is no error, and what comes with it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(super) status: u16,
    about: &'static str,
    contents: Vec<Content>,
    headers: Vec<(&'static str, Value)>,
    links: Vec<(&'static str, &'static str, &'static str)>,
}

/// A whole number in a query, within bounds.
pub(crate) fn number(name: &'static str, about: &'static str, bounds: RangeInclusive<i64>) -> Parameter {
    let schema = json!({"type": "integer", "format": "int64", "minimum": bounds.start(), "maximum": bounds.end()});
    Parameter { place: "query", name, about, required: false, schema: ParameterSchema::Given(schema), example: None }
}

/// One of some words in a query.
pub(crate) fn word(name: &'static str, about: &'static str, words: &[&str]) -> Parameter {
    text(name, about, json!({"type": "string", "enum": words}))
}

/// A text in a query, of this schema.
pub(crate) fn text(name: &'static str, about: &'static str, schema: Value) -> Parameter {
    Parameter { place: "query", name, about, required: false, schema: ParameterSchema::Given(schema), example: None }
}

/// A header of a request.
pub(crate) fn header(name: &'static str, about: &'static str, schema: Value) -> Parameter {
    Parameter { place: "header", name, about, required: false, schema: ParameterSchema::Given(schema), example: None }
}

impl Parameter {
    /// What holds where it isn't given.
    #[must_use]
    pub(crate) fn by_default(mut self, value: impl Into<Value>) -> Self {
        if let ParameterSchema::Given(schema) = &mut self.schema {
            schema["default"] = value.into();
        }
        self
    }

    fn document(&self, requests: &mut SchemaGenerator) -> Value {
        let schema = match &self.schema {
            ParameterSchema::Of(make) => make(requests).to_value(),
            ParameterSchema::Given(schema) => schema.clone(),
        };
        let mut said = json!({"name": self.name, "in": self.place, "description": self.about, "schema": schema});
        if self.required {
            said["required"] = json!(true);
        }
        if let Some(example) = &self.example {
            said["example"] = example.clone();
        }
        said
    }
}

impl Content {
    fn document(&self, schemas: &mut SchemaGenerator) -> Value {
        let mut said = json!({"schema": (self.schema)(schemas).to_value()});
        if !self.examples.is_empty() {
            // Named so that they keep their order.
            let example = |(index, (summary, value)): (usize, &(&str, Value))| {
                let name = summary.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
                (format!("{}_{name}", index + 1), json!({"summary": summary, "value": value}))
            };
            said["examples"] = self.examples.iter().enumerate().map(example).collect::<Map<_, _>>().into();
        }
        said
    }
}

impl Answer {
    /// JSON.
    pub(crate) fn json<T: JsonSchema>(status: u16, about: &'static str) -> Self {
        Self::of::<T>(status, "application/json", about)
    }

    /// Some other form.
    pub(crate) fn of<T: JsonSchema>(status: u16, media_type: &'static str, about: &'static str) -> Self {
        let schema: MakeSchema = SchemaGenerator::subschema_for::<T>;
        let contents = vec![Content { media_type, schema, examples: Vec::new() }];
        Self { status, about, contents, headers: Vec::new(), links: Vec::new() }
    }

    /// The same in another form.
    #[must_use]
    pub(crate) fn or<T: JsonSchema>(mut self, media_type: &'static str) -> Self {
        let schema: MakeSchema = SchemaGenerator::subschema_for::<T>;
        self.contents.push(Content { media_type, schema, examples: Vec::new() });
        self
    }

    /// An example of the form that was named last.
    #[must_use]
    pub(crate) fn example(mut self, summary: &'static str, value: Value) -> Self {
        self.contents.last_mut().expect("an answer has a form").examples.push((summary, value));
        self
    }

    /// A header that comes with it, where its form has it.
    #[must_use]
    pub(crate) fn header_at_times(mut self, name: &'static str, about: &'static str, schema: &Value) -> Self {
        self.headers.push((name, json!({"description": about, "required": false, "schema": schema})));
        self
    }

    /// A header that comes with it.
    #[must_use]
    pub(crate) fn header(mut self, name: &'static str, about: &'static str, schema: &Value) -> Self {
        self.headers.push((name, json!({"description": about, "required": true, "schema": schema})));
        self
    }

    /// What can be asked next: the operation, and which of its path's parameters is found where in this answer.
    #[must_use]
    pub(crate) fn leads_to(
        mut self,
        operations: &[&'static str],
        parameter: &'static str,
        place: &'static str,
    ) -> Self {
        self.links.extend(operations.iter().map(|operation| (*operation, parameter, place)));
        self
    }

    fn document(&self, answers: &mut SchemaGenerator) -> Value {
        let contents = self.contents.iter().map(|content| (content.media_type.to_owned(), content.document(answers)));
        let request_id = ("X-Request-Id", json!({"$ref": "#/components/headers/X-Request-Id"}));
        let headers = self.headers.iter().cloned().chain([request_id]);
        let headers: Map<_, _> = headers.map(|(name, header)| (name.to_owned(), header)).collect();
        let mut said = json!({"description": self.about, "headers": headers});
        let contents: Map<_, _> = contents.collect();
        if !contents.is_empty() {
            said["content"] = contents.into();
        }
        if !self.links.is_empty() {
            let link = |(operation, parameter, place): &(&str, &str, &str)| {
                ((*operation).to_owned(), json!({"operationId": operation, "parameters": {*parameter: place}}))
            };
            said["links"] = self.links.iter().map(link).collect::<Map<_, _>>().into();
        }
        said
    }
}

impl Operation {
    pub(crate) fn new(id: &'static str, tag: &'static str, summary: &'static str) -> Self {
        let (parameters, answers, errors) = (Vec::new(), Vec::new(), BTreeSet::new());
        Self { id, tag, summary, description: "", parameters, body: None, answers, errors }
    }

    /// More than the summary says, in Markdown.
    #[must_use]
    pub(crate) fn about(self, description: &'static str) -> Self {
        Self { description, ..self }
    }

    /// A parameter of the path.
    #[must_use]
    pub(crate) fn path<T: JsonSchema>(mut self, name: &'static str, about: &'static str, example: &str) -> Self {
        let schema = ParameterSchema::Of(SchemaGenerator::subschema_for::<T>);
        let example = Some(example.into());
        self.parameters.push(Parameter { place: "path", name, about, required: true, schema, example });
        self
    }

    /// A parameter of the query or a header.
    #[must_use]
    pub(crate) fn parameter(mut self, parameter: Parameter) -> Self {
        if parameter.place == "query" {
            self.errors.insert((400, "invalid_parameter"));
        }
        self.parameters.push(parameter);
        self
    }

    /// A JSON body that has to be there.
    #[must_use]
    pub(crate) fn body<T: JsonSchema>(self, examples: &[(&'static str, Value)]) -> Self {
        self.with_body::<T>(true, "application/json", examples)
    }

    /// A JSON body that may be left out, which is the same as `{}`.
    #[must_use]
    pub(crate) fn optional_body<T: JsonSchema>(self, examples: &[(&'static str, Value)]) -> Self {
        self.with_body::<T>(false, "application/json", examples)
    }

    /// A body of some form; several may be named.
    #[must_use]
    pub(crate) fn with_body<T: JsonSchema>(
        mut self,
        required: bool,
        media_type: &'static str,
        examples: &[(&'static str, Value)],
    ) -> Self {
        let schema: MakeSchema = SchemaGenerator::subschema_for::<T>;
        let body = self.body.get_or_insert(Body { required, contents: Vec::new() });
        body.contents.push(Content { media_type, schema, examples: examples.to_vec() });
        self.errors(codes::BODY)
    }

    /// One of the statuses that are no error.
    #[must_use]
    pub(crate) fn answer(mut self, answer: Answer) -> Self {
        self.answers.push(answer);
        self
    }

    /// Errors that it can be answered with, beside those of [`codes::ANY`].
    #[must_use]
    pub(crate) fn errors(mut self, errors: &[Code]) -> Self {
        self.errors.extend(errors);
        self
    }

    /// What the document says of it.
    pub(super) fn document(
        &self,
        requests: &mut SchemaGenerator,
        answers: &mut SchemaGenerator,
        errors: &mut ErrorResponses,
    ) -> Value {
        let mut said = json!({"operationId": self.id, "tags": [self.tag], "summary": self.summary});
        if !self.description.is_empty() {
            said["description"] = self.description.into();
        }
        if !self.parameters.is_empty() {
            said["parameters"] = self.parameters.iter().map(|parameter| parameter.document(requests)).collect();
        }
        if let Some(body) = &self.body {
            let contents = body.contents.iter();
            let contents = contents.map(|content| (content.media_type.to_owned(), content.document(requests)));
            said["requestBody"] = json!({"required": body.required, "content": contents.collect::<Map<_, _>>()});
        }
        let mut responses: Map<_, _> =
            self.answers.iter().map(|answer| (answer.status.to_string(), answer.document(answers))).collect();
        let mut codes: Vec<Code> = self.errors.iter().chain(codes::ANY).copied().collect();
        codes.sort_unstable();
        codes.dedup();
        for same in codes.chunk_by(|a, b| a.0 == b.0) {
            responses.insert(same[0].0.to_string(), errors.refer(same));
        }
        said["responses"] = responses.into();
        said
    }
}

/// Answers with errors that operations share: each set of codes of a status stands once.
#[derive(Debug, Default)]
pub(super) struct ErrorResponses(Vec<(String, Vec<Code>)>);

impl ErrorResponses {
    /// A reference to the answer that says one of these codes, which have the same status.
    fn refer(&mut self, codes: &[Code]) -> Value {
        let found = self.0.iter().find(|(_, known)| known == codes).map(|(name, _)| name.clone());
        let name = found.unwrap_or_else(|| {
            let status = codes[0].0;
            let others = self.0.iter().filter(|(_, known)| known[0].0 == status).count();
            let name = format!("Error{status}_{}", others + 1);
            self.0.push((name.clone(), codes.to_vec()));
            name
        });
        json!({"$ref": format!("#/components/responses/{name}")})
    }

    /// All of them.
    pub(super) fn document(self) -> Map<String, Value> {
        let response = |(name, codes): (String, Vec<Code>)| {
            let words: Vec<&str> = codes.iter().map(|(_, code)| *code).collect();
            (name, error_response(codes[0].0, &words))
        };
        self.0.into_iter().map(response).collect()
    }
}

/// The answer with that status, which says one of these codes.
fn error_response(status: u16, words: &[&str]) -> Value {
    let mut headers = json!({"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}});
    if matches!(status, 429 | 503) {
        headers["Retry-After"] = json!({"$ref": "#/components/headers/Retry-After"});
    }
    let described: Vec<String> = words.iter().map(|code| format!("`{code}`")).collect();
    let schema = json!({"$ref": "#/components/schemas/Error", "properties": {"code": {"enum": words}}});
    json!({
        "description": described.join(", "),
        "headers": headers,
        "content": {"application/json": {"schema": schema}},
    })
}
