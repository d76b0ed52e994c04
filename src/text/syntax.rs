//! Reading an expression: limits first, then the parser, then one walk over the tree for the
//! functions it calls and the names it reads.
//!
//! The crate's Pratt parser is used instead of its generated one: it builds the same trees about
//! thirty times faster, which is what checking and planning large runbooks spend their time on.
//! It does not keep positions, so those of names are found again in the tokens.

use cel::common::ast::IdedExpr as Expression;
use cel::common::ast::{CallExpr, EntryExpr, Expr, LiteralValue, operators};
use cel::parser::PrattParser;
use cel::parser::pratt_parser::{Lexer, Token, TokenKind};

use super::functions::{self, HOSTS};
use super::tree::Tree;
use super::{Path, Read, Segment, TextError};

/// Bytes of the longest expression.
const MAX_BYTES: usize = 16 * 1024;
/// Tokens of the longest expression.
const MAX_TOKENS: usize = 2_000;
/// Brackets inside brackets, and conditions inside conditions.
const MAX_NESTING: usize = 32;
/// Levels of the deepest tree: what evaluation on a small stack takes.
const MAX_DEPTH: usize = 48;

/// Comprehensions inside comprehensions: the time they take multiplies.
const MAX_LOOPS: usize = 4;

/// An expression, ready to be evaluated.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) tree: Expression,
    pub(super) reads: Vec<Read>,
    pub(super) guards: Vec<Path>,
    /// The parts of values that it reads.
    pub(super) wanted: Tree,
}

/// Reads `source`.
///
/// # Errors
/// A syntax error, an unknown function, or an expression beyond the limits.
pub(super) fn compile(source: &str) -> Result<Compiled, TextError> {
    if source.trim().is_empty() {
        return Err(TextError::new("an expression is empty"));
    }
    if source.len() > MAX_BYTES {
        return Err(TextError::new(format!("an expression is longer than {MAX_BYTES} bytes")));
    }
    let tokens = tokens(source)?;
    let mut tree = PrattParser::new()
        .max_recursion_depth(MAX_NESTING as u16 + 1)
        .parse(source)
        .map_err(|errors| syntax_error(source, errors.errors.first()))?;
    if !within(&tree, MAX_DEPTH) {
        return Err(too_deep());
    }
    let mut walk = Walk { names: Names::new(source, &tokens), ..Walk::default() };
    walk.expression(&mut tree, &Guards::default())?;
    let mut wanted = Tree::default();
    for read in &walk.reads {
        wanted.add(&read.path);
    }
    Ok(Compiled { tree, reads: walk.reads, guards: walk.guards, wanted })
}

fn too_deep() -> TextError {
    TextError::new("an expression is nested too deeply")
        .help("compute parts of it in `outputs` of a step of their own")
}

fn tokens(source: &str) -> Result<Vec<Token>, TextError> {
    let mut lexer = Lexer::new(source);
    let mut tokens = Vec::new();
    let mut nesting = 0_usize;
    let mut conditions = 0_usize;
    loop {
        let token = lexer.lex();
        match token.kind {
            // The parser tells what is wrong.
            TokenKind::TokEnd | TokenKind::TokError => return Ok(tokens),
            TokenKind::TokWhitespace | TokenKind::TokComment => continue,
            TokenKind::TokLeftBrace | TokenKind::TokLeftBracket | TokenKind::TokLeftParen => {
                nesting += 1;
            }
            TokenKind::TokRightBrace | TokenKind::TokRightBracket | TokenKind::TokRightParen => {
                nesting = nesting.saturating_sub(1);
            }
            TokenKind::TokQuestion => conditions += 1,
            _ => {}
        }
        if nesting.max(conditions) > MAX_NESTING || tokens.len() == MAX_TOKENS {
            return Err(too_deep().at(token.start..token.end));
        }
        tokens.push(token);
    }
}

fn syntax_error(source: &str, error: Option<&cel::ParseError>) -> TextError {
    let Some(error) = error else {
        return TextError::new("not an expression");
    };
    let message = error.msg.trim_start_matches("Syntax error: ");
    let message = message.replace("<EOF>", "the end").replace("'the end'", "the end");
    let text = TextError::new(message);
    let text = match offset(source, error.pos) {
        Some(start) => {
            let length = source[start..].chars().next().map_or(0, char::len_utf8);
            text.at(start..start + length)
        }
        None => text,
    };
    if error.msg.contains("'='") {
        text.help("equality is `==`")
    } else if error.msg.contains("reserved identifier") {
        text.help("this word has a meaning of its own in expressions; choose another name")
    } else if source.contains("{{") {
        text.help("a decision names values directly, without `{{ }}`")
    } else {
        text
    }
}

/// The byte of a position given as line and column, both from 1.
fn offset(source: &str, (line, column): (isize, isize)) -> Option<usize> {
    let line = usize::try_from(line).ok()?.checked_sub(1)?;
    let column = usize::try_from(column).ok()?.checked_sub(1)?;
    let start: usize = source.split_inclusive('\n').take(line).map(str::len).sum();
    let mut at = (start + column).min(source.len());
    while !source.is_char_boundary(at) {
        at -= 1;
    }
    Some(at)
}

/// Whether no branch of the tree has more than `depth` levels.
fn within(expression: &Expression, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    match &expression.expr {
        // A message is refused unseen.
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) => true,
        Expr::Call(call) => {
            call.target.as_deref().is_none_or(|target| within(target, depth))
                && call.args.iter().all(|argument| within(argument, depth))
        }
        Expr::Comprehension(each) => {
            [&each.iter_range, &each.accu_init, &each.loop_cond, &each.loop_step, &each.result]
                .into_iter()
                .all(|part| within(part, depth))
        }
        Expr::List(list) => list.elements.iter().all(|element| within(element, depth)),
        Expr::Map(map) => map.entries.iter().all(|entry| match &entry.expr {
            EntryExpr::MapEntry(entry) => within(&entry.key, depth) && within(&entry.value, depth),
            EntryExpr::StructField(field) => within(&field.value, depth),
        }),
        Expr::Select(select) => within(&select.operand, depth),
    }
}

/// Where names stand in the source.
#[derive(Default)]
struct Names<'a> {
    source: &'a str,
    tokens: &'a [Token],
    /// Tokens that begin a name, in order, each with whether it has been given away.
    starts: Vec<(usize, bool)>,
}

impl<'a> Names<'a> {
    fn new(source: &'a str, tokens: &'a [Token]) -> Self {
        let starts = tokens
            .iter()
            .enumerate()
            .filter(|(position, token)| {
                let after_dot = *position > 0 && tokens[position - 1].kind == TokenKind::TokDot;
                let called = tokens
                    .get(position + 1)
                    .is_some_and(|next| next.kind == TokenKind::TokLeftParen);
                token.kind == TokenKind::TokIdent && !after_dot && !called
            })
            .map(|(position, _)| (position, false))
            .collect();
        Self { source, tokens, starts }
    }

    /// The next place where `path` is written, and the advice if it is half of a dashed name.
    fn find(&mut self, path: &Path) -> (Option<std::ops::Range<usize>>, Option<String>) {
        let (source, tokens) = (self.source, self.tokens);
        let text = |token: &Token| &source[token.start..token.end];
        let Some((first, taken)) = self
            .starts
            .iter_mut()
            .find(|(position, taken)| !taken && text(&tokens[*position]) == path.root())
        else {
            return (None, None);
        };
        *taken = true;
        let first = *first;
        let mut last = first;
        for segment in &path.0[1..] {
            let step = match tokens.get(last + 1).map(|token| token.kind) {
                Some(TokenKind::TokDot) => 2,
                Some(TokenKind::TokLeftBracket) if *segment != Segment::Dynamic => 3,
                _ => break,
            };
            if last + step >= tokens.len() {
                break;
            }
            last += step;
        }
        let (start, end) = (tokens[first].start, tokens[last].end);
        (Some(start..end), self.dashed(first))
    }

    fn dashed(&self, first: usize) -> Option<String> {
        let [.., left, dash] = self.tokens.get(..first)? else { return None };
        let name = &self.tokens[first];
        let joined = left.kind == TokenKind::TokIdent
            && dash.kind == TokenKind::TokMinus
            && left.end == dash.start
            && dash.end == name.start;
        joined.then(|| {
            let (left, right) =
                (&self.source[left.start..left.end], &self.source[name.start..name.end]);
            format!(
                "`{left}-{right}` is read as `{left}` minus `{right}`; names have underscores, and \
                 data is read by `['{left}-{right}']`"
            )
        })
    }
}

/// Names that are known to be there.
#[derive(Debug, Clone, Default)]
struct Guards(Vec<Path>);

impl Guards {
    fn and(&self, more: Vec<Path>) -> Self {
        Self(self.0.iter().cloned().chain(more).collect())
    }

    fn cover(&self, path: &Path) -> bool {
        self.0.iter().any(|guard| guard.leads_to(path))
    }
}

#[derive(Default)]
struct Walk<'a> {
    names: Names<'a>,
    reads: Vec<Read>,
    guards: Vec<Path>,
    /// Names that comprehensions declare, innermost last.
    variables: Vec<String>,
    /// Comprehensions around the current place.
    loops: usize,
}

impl Walk<'_> {
    fn expression(
        &mut self,
        expression: &mut Expression,
        guards: &Guards,
    ) -> Result<(), TextError> {
        if self.chain(expression, guards)? {
            return Ok(());
        }
        match &mut expression.expr {
            Expr::Call(call) => self.call(call, guards),
            Expr::Comprehension(each) => {
                self.expression(&mut each.iter_range, guards)?;
                self.expression(&mut each.accu_init, guards)?;
                self.loops += 1;
                if self.loops > MAX_LOOPS {
                    return Err(too_deep());
                }
                let before = self.variables.len();
                self.variables.push(each.iter_var.clone());
                self.variables.extend(each.iter_var2.clone());
                self.variables.push(each.accu_var.clone());
                self.expression(&mut each.loop_cond, guards)?;
                self.expression(&mut each.loop_step, guards)?;
                self.expression(&mut each.result, guards)?;
                self.variables.truncate(before);
                self.loops -= 1;
                Ok(())
            }
            Expr::List(list) => {
                list.elements.iter_mut().try_for_each(|item| self.expression(item, guards))
            }
            Expr::Map(map) => map.entries.iter_mut().try_for_each(|entry| match &mut entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.expression(&mut entry.key, guards)?;
                    self.expression(&mut entry.value, guards)
                }
                EntryExpr::StructField(field) => self.expression(&mut field.value, guards),
            }),
            Expr::Select(select) => self.expression(&mut select.operand, guards),
            Expr::Struct(message) => {
                Err(TextError::new(format!("there is no message type `{}`", message.type_name))
                    .help("a map is written `{'name': value}`"))
            }
            Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Ok(()),
        }
    }

    /// Records a name with its fields and indexes. False if the expression is none, or one of
    /// something computed.
    fn chain(&mut self, expression: &mut Expression, guards: &Guards) -> Result<bool, TextError> {
        let tested = matches!(&expression.expr, Expr::Select(select) if select.test);
        let Some(path) = path_of(expression) else { return Ok(false) };
        if !self.is_variable(path.root()) && !functions::is_type(&path) {
            let (span, dashed) = self.names.find(&path);
            if tested {
                self.guards.push(path.clone());
            }
            let guarded = tested || guards.cover(&path);
            self.reads.push(Read { path, span, pointer: String::new(), guarded, dashed });
        }
        self.indexes(expression, guards)?;
        Ok(true)
    }

    /// Walks the computed indexes of a chain.
    fn indexes(&mut self, expression: &mut Expression, guards: &Guards) -> Result<(), TextError> {
        match &mut expression.expr {
            Expr::Select(select) => self.indexes(&mut select.operand, guards),
            Expr::Call(call) if is_index(call) => {
                let [operand, index] = call.args.as_mut_slice() else { return Ok(()) };
                self.indexes(operand, guards)?;
                if constant(index).is_none() {
                    self.expression(index, guards)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn is_variable(&self, name: &str) -> bool {
        name.starts_with('@') || self.variables.iter().any(|variable| variable == name)
    }

    fn call(&mut self, call: &mut CallExpr, guards: &Guards) -> Result<(), TextError> {
        match (call.func_name.as_str(), call.args.as_mut_slice()) {
            (operators::CONDITIONAL, [condition, yes, no]) => {
                let (when_true, when_false) = (holding(condition, true), holding(condition, false));
                self.expression(condition, guards)?;
                self.expression(yes, &guards.and(when_true))?;
                self.expression(no, &guards.and(when_false))
            }
            // Both sides are covered: an error on one side is overruled by the other.
            (name @ (operators::LOGICAL_AND | operators::LOGICAL_OR), [left, right]) => {
                let truth = name == operators::LOGICAL_AND;
                let (by_left, by_right) = (holding(left, truth), holding(right, truth));
                self.expression(left, &guards.and(by_right))?;
                self.expression(right, &guards.and(by_left))
            }
            _ => {
                functions::check(call)?;
                if let Some(target) = call.target.as_deref_mut() {
                    self.expression(target, guards)?;
                }
                call.args.iter_mut().try_for_each(|item| self.expression(item, guards))?;
                if call.target.is_none() && call.func_name == functions::LABELLED {
                    // What it selects from is not written, so it is handed over here.
                    call.args.insert(0, Expression { id: 0, expr: Expr::Ident(HOSTS.to_owned()) });
                    self.reads.push(Read {
                        path: Path(vec![Segment::Field("hosts".to_owned())]),
                        span: None,
                        pointer: String::new(),
                        guarded: false,
                        dashed: None,
                    });
                }
                Ok(())
            }
        }
    }
}

/// What is there for certain if the condition turns out as `truth`.
fn holding(condition: &Expression, truth: bool) -> Vec<Path> {
    match &condition.expr {
        Expr::Select(select) if select.test && truth => path_of(condition).into_iter().collect(),
        Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::LOGICAL_NOT, [inner]) => holding(inner, !truth),
            (operators::LOGICAL_AND, [left, right]) if truth => {
                [holding(left, true), holding(right, true)].concat()
            }
            (operators::LOGICAL_OR, [left, right]) if !truth => {
                [holding(left, false), holding(right, false)].concat()
            }
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn is_index(call: &CallExpr) -> bool {
    call.target.is_none() && call.func_name == operators::INDEX && call.args.len() == 2
}

fn constant(index: &Expression) -> Option<Segment> {
    match &index.expr {
        Expr::Literal(LiteralValue::String(name)) => Some(Segment::Field(name.inner().to_owned())),
        Expr::Literal(LiteralValue::Int(index)) => {
            usize::try_from(*index.inner()).ok().map(Segment::Index)
        }
        _ => None,
    }
}

/// The name that fields and indexes lead on from, as far as they are constant.
fn path_of(expression: &Expression) -> Option<Path> {
    match &expression.expr {
        Expr::Ident(name) => {
            Some(Path(vec![Segment::Field(name.trim_start_matches('.').to_owned())]))
        }
        Expr::Select(select) => {
            Some(extend(path_of(&select.operand)?, Segment::Field(select.field.clone())))
        }
        Expr::Call(call) if is_index(call) => {
            let segment = constant(&call.args[1]).unwrap_or(Segment::Dynamic);
            Some(extend(path_of(&call.args[0])?, segment))
        }
        _ => None,
    }
}

fn extend(mut path: Path, segment: Segment) -> Path {
    if path.0.last() != Some(&Segment::Dynamic) {
        path.0.push(segment);
    }
    path
}
