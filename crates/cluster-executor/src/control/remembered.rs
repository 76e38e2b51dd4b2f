use std::collections::VecDeque;

/// The commands that were carried out last, with the answers that were given.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    answers: VecDeque<(String, String)>,
}

impl Remembered {
    /// The answer to a command that was carried out before.
    pub(super) fn answer_to(&self, request_id: &str) -> Option<String> {
        let mut answers = self.answers.iter();
        let (_, answer) = answers.find(|(known, _)| known == request_id)?;
        Some(answer.clone())
    }

    pub(super) fn add(&mut self, request_id: &str, answer: &str) {
        if self.answers.len() >= COMMAND_LIMIT {
            self.answers.pop_front();
        }
        self.answers
            .push_back((request_id.to_owned(), answer.to_owned()));
    }
}

/// Several times what a scheduler keeps to send again.
const COMMAND_LIMIT: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_known_again_and_only_so_many_are() {
        let mut remembered = Remembered::default();
        for number in 0..1000 {
            let request = number.to_string();
            assert_eq!(remembered.answer_to(&request), None);
            remembered.add(&request, "why");
            assert_eq!(remembered.answer_to(&request).as_deref(), Some("why"));
        }
        assert_eq!(remembered.answers.len(), COMMAND_LIMIT);
    }
}
