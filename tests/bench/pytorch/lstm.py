"""An LSTM language model as one writes it in PyTorch: the counterpart of the RNN plugin's rnn_language_model."""

from torch import nn
from torch.nn import functional as F


class LSTM(nn.Module):
    def __init__(self, vocab, layers, width, dropout):
        super().__init__()
        self.encoder = nn.Embedding(vocab, width)
        self.dropout = nn.Dropout(dropout)
        self.rnn = nn.LSTM(width, width, layers, dropout=dropout, batch_first=True)
        self.decoder = nn.Linear(width, vocab)

    def forward(self, tokens, labels):
        hidden, _ = self.rnn(self.dropout(self.encoder(tokens)))
        logits = self.decoder(self.dropout(hidden))
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten())
